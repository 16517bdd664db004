"""The multi-omics model: modalities into one cell embedding, and that back to every modality.

Legend: B cells, L tokens, D width of the backbone, E width of the cell embedding, C width of a
modality's block of it, V joint vocabulary, K batches, M kinds of tokens, H width of a batch's embedding.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sc_mamba2.model import Backbone, BatchDiscriminator, DomainNorm, TaskModel
from sc_mamba2.tasks.multiomics import loss as losses
from sc_mamba2.tasks.multiomics.design import has
from sc_mamba2.tasks.multiomics.imputer import Imputer
from sc_mamba2.tasks.multiomics.params import FeatureParams, HeadParams, LossParams
from sc_mamba2.tasks.multiomics.views import views_of_cells
from sc_mamba2.tasks.shared.batches import BATCH, batch_codes
from sc_mamba2.tokens import KINDS, Batch, Tokenizer, kinds_of, visible_part


class MultiomicsModel(TaskModel):
    """Embeds cells of several modalities, with whatever of them a cell has.

    ``z = Norm_k(T h_cls + [block_1, block_2, …])``. Where a cell has modality m its block is
    ``sum_l v_l A[f_l]`` over the tokens of m; where it lacks m, the mean over the modalities n that it has
    of ``C_nm block_n``: what they tell of it. ``h_cls`` is the backbone's state at `<cls>` after all of the
    cell's tokens, v the values, A a table of the features, k the batch. A decoder gives every feature of
    every modality from z and the batch; an `Imputer` a modality tells it from the others alone.

    Parameters
    ----------
    backbone
        Grown to the joint vocabulary, with an embedding a kind of token.
    tokenizer
        Makes the tokens that the model reads.
    widths
        C of every modality, by its name.
    batches
        K names, in the order of the codes.
    head, objective, features
        Paths, weights of the loss, how features are read.
    batch_key
        Column of `obs` that the batches came from; None: there is one.
    anchors
        Anchor cells of the imputers that there are, by modality.
    """

    task = "multiomics"

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        widths: dict[str, int],
        batches: tuple[str, ...],
        head: HeadParams,
        objective: LossParams,
        features: FeatureParams,
        batch_key: str | None,
        anchors: dict[str, int] | None = None,
    ) -> None:
        super().__init__(backbone, tokenizer)
        self.widths, self.batches, self.batch_key = widths, batches, batch_key
        self.head, self.objective, self.features = head, objective, features
        self.width = sum(widths.values())
        kinds = torch.from_numpy(kinds_of(tokenizer.vocabulary))
        self._rows = {m: torch.nonzero(kinds == KINDS.index(m)).flatten() for m in widths}
        size, most = tokenizer.vocabulary.size, max(widths.values())
        if "pooled" in head.paths:
            self.feature_table_VC = nn.Parameter(torch.zeros(size, most))
            self.offsets = nn.ParameterDict({m: torch.zeros(w) for m, w in widths.items()})
            self.across = nn.ModuleDict(
                {
                    f"{n}_{m}": nn.Linear(widths[n], widths[m], bias=False)
                    for n in widths
                    for m in widths
                    if n != m
                }
            )
        if "trunk" in head.paths:
            self.trunk_projection = nn.Linear(backbone.config.d_model, self.width, bias=False)
            if "pooled" in head.paths:  # it adds only what helps; alone it must begin somewhere
                nn.init.zeros_(self.trunk_projection.weight)
        self.norm = DomainNorm(
            self.width, len(batches) if head.domain_norm else 1, shared_scale=True
        )
        # The components keep the sizes that they start with, as in batch correction.
        self.norm.requires_grad_(False)
        self.batch_encoder = nn.Embedding(len(batches), head.batch_width)
        self.decoder = nn.Linear(self.width, size)
        if len(batches) > 1:
            self.batch_decoder = nn.Sequential(
                nn.Linear(self.width + head.batch_width, head.decoder_width),
                nn.LeakyReLU(),
                nn.Linear(head.decoder_width, size, bias=False),
            )
            self.discriminator = BatchDiscriminator(self.width, len(batches))
        self.weight_V: Tensor
        self.register_buffer("weight_V", torch.ones(size))
        self.variance_M: Tensor
        self.register_buffer("variance_M", torch.ones(len(KINDS)))
        self.error_V: Tensor
        self.register_buffer("error_V", torch.zeros(size))
        self.imputers = nn.ModuleDict()
        for kind, count in (anchors or {}).items():
            self.add_imputer(kind, count)

    def train(self, mode: bool = True) -> "MultiomicsModel":
        """Set the mode; the norm keeps its moments, since a step's views are not what cells are."""
        super().train(mode)
        self.norm.eval()
        return self

    @property
    def kind_V(self) -> Tensor:
        """Kind of every token, (V,)."""
        assert self.backbone.token_kinds is not None, "the backbone was grown"
        return self.backbone.token_kinds.kind_of_token_V

    def rows_of(self, kind: str) -> Tensor:
        """Return the rows of a modality's features."""
        return self._rows[kind]

    def add_imputer(self, kind: str, anchors: int) -> Imputer:
        """Put an empty imputer of a modality into the model, and return it."""
        states = self.backbone.config.d_model if "trunk" in self.head.paths else 0
        reads_values = "pooled" in self.head.paths
        imputer = Imputer(
            self.tokenizer.vocabulary.size if reads_values else 0,
            self.width + states,
            len(self.rows_of(kind)),
            anchors,
        )
        self.imputers[kind] = imputer
        return imputer

    def settings(self) -> dict[str, Any]:
        """Return what `from_settings` needs to build the same model."""
        return {
            "widths": [
                list(pair) for pair in self.widths.items()
            ],  # their order is that of the blocks
            "batches": list(self.batches),
            "head": self.head.model_dump(mode="json"),
            "objective": self.objective.model_dump(mode="json"),
            "features": self.features.model_dump(mode="json"),
            "batch_key": self.batch_key,
            "anchors": {m: imputer.anchors for m, imputer in self.imputers.items()},
        }

    @classmethod
    def from_settings(
        cls, backbone: Backbone, tokenizer: Tokenizer, settings: dict[str, Any]
    ) -> "MultiomicsModel":
        """Build an untrained model from stored settings."""
        return cls(
            backbone,
            tokenizer,
            {str(m): int(w) for m, w in settings["widths"]},
            tuple(settings["batches"]),
            HeadParams(**settings["head"]),
            LossParams(**settings["objective"]),
            FeatureParams(**settings["features"]),
            settings["batch_key"],
            settings["anchors"],
        )

    def pool(self, batch: Batch) -> Tensor:
        """Put the blocks of the modalities side by side, (B, E); of absent ones what the others tell."""
        kinds_BL = self.kind_V[batch.token_ids_BL]
        blocks, present = {}, {}
        for kind, width in self.widths.items():
            own_BL = kinds_BL == KINDS.index(kind)
            values_BL = (batch.values_BL * own_BL).to(self.feature_table_VC)
            bag_BC = nn.functional.embedding_bag(
                batch.token_ids_BL, self.feature_table_VC, mode="sum", per_sample_weights=values_BL
            )
            blocks[kind] = bag_BC[:, :width] + self.offsets[kind]
            present[kind] = own_BL.any(dim=1, keepdim=True).to(bag_BC)
        return torch.cat([self._block(kind, blocks, present) for kind in self.widths], dim=1)

    def _block(self, kind: str, blocks: dict[str, Tensor], present: dict[str, Tensor]) -> Tensor:
        others = [other for other in blocks if other != kind]
        told = [self.across[f"{n}_{kind}"](blocks[n]) * present[n] for n in others]
        count_B1 = sum(present[n] for n in others)
        absent_BC = torch.stack(told).sum(dim=0) / torch.as_tensor(count_B1).clamp(min=1)
        return blocks[kind] * present[kind] + absent_BC * (1 - present[kind])

    def states(self, batch: Batch) -> Tensor | None:
        """Return the backbone's state at `<cls>`, (B, D), where the trunk is among the paths."""
        if "trunk" not in self.head.paths:
            return None
        hidden_BLD: Tensor = self.backbone(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)
        return hidden_BLD[:, 0]

    def paths(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Sum the paths, (B, E): the embedding before its norm; and the trunk's states."""
        states_BD = self.states(batch)
        paths = []
        if states_BD is not None:
            paths.append(self.trunk_projection(states_BD))
        if "pooled" in self.head.paths:
            paths.append(self.pool(batch))
        return torch.stack(paths).sum(dim=0), states_BD

    def embed(self, batch: Batch, batch_B: Tensor) -> tuple[Tensor, Tensor | None]:
        """Embed cells of the batches (B,) with all that they have: (B, E), and the trunk's states."""
        summed_BE, states_BD = self.paths(batch)
        domain_B = batch_B if self.head.domain_norm else torch.zeros_like(batch_B)
        return self.norm(summed_BE, domain_B), states_BD

    def forward(self, batch: Batch, batch_B: Tensor) -> Tensor:
        """Embed cells of the batches (B,), 0 to K - 1; (B, E)."""
        return self.embed(batch, batch_B)[0]

    def decode(self, cell_BE: Tensor, batch_B: Tensor) -> Tensor:
        """Tell every feature, (B, V), from cells and their batch."""
        decoded_BV: Tensor = self.decoder(cell_BE)
        if len(self.batches) > 1:
            together = torch.cat([cell_BE, self.batch_encoder(batch_B)], dim=1)
            decoded_BV = decoded_BV + self.batch_decoder(together)
        return decoded_BV

    def view(self, batch: Batch, kinds: tuple[str, ...]) -> Batch:
        """Return cells of which these modalities alone are seen."""
        visible_M = torch.zeros(len(KINDS), dtype=torch.bool, device=batch.cells_B.device)
        visible_M[[KINDS.index(kind) for kind in kinds]] = True
        visible_BM = visible_M.expand(len(batch.cells_B), -1)
        return visible_part(batch, self.kind_V, visible_BM, self.backbone.config.pad_id)

    def parameter_groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Give the table of features a rate of its own: a cell sums hundreds of its rows."""
        groups = super().parameter_groups(learning_rate, weight_decay)
        if "pooled" not in self.head.paths:
            return groups
        for group in groups:
            group["params"] = [p for p in group["params"] if p is not self.feature_table_VC]
        rate = learning_rate * self.head.table_rate_factor
        table = {"params": [self.feature_table_VC], "lr": rate, "weight_decay": 0.0}
        return [group for group in groups if group["params"]] + [table]

    def targets(self, obs: pd.DataFrame) -> dict[str, Tensor]:
        """Read batches and modalities of cells; no label is ever read."""
        codes = batch_codes(obs[BATCH], self.batches)
        shares_K = np.bincount(codes, minlength=len(self.batches)) / max(1, len(codes))
        weights_K = 1 / np.maximum(shares_K * len(self.batches), 1e-9)
        present_NM = np.zeros((len(obs), len(KINDS)), dtype=bool)
        for kind in self.widths:
            present_NM[:, KINDS.index(kind)] = obs[has(kind)]
        return {
            "batch_B": torch.from_numpy(codes),
            "weight_B": torch.from_numpy(weights_K[codes]).float(),
            "present_BM": torch.from_numpy(present_NM),
        }

    def loss(self, batch: Batch, targets: dict[str, Tensor]) -> Tensor:
        """Return the training loss a cell; in evaluation mode what chooses the epoch (see `loss`)."""
        if self.training:
            return losses.training_loss(self, batch, targets)
        return losses.choosing_loss(self, batch, targets)

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """Refuse: a cell is embedded with its batch; see `predictor`."""
        raise NotImplementedError("the batches of the cells are needed: call predictor(obs)")

    def predictor(self, obs: pd.DataFrame) -> Callable[[Batch], dict[str, Tensor]]:
        """Return what tells of cells: ``joint``, one embedding and one imputation a modality.

        ``joint`` (B, E) from all that a cell has; ``embedding_m`` (B, E) from modality m alone, NaN where
        the cell lacks it; ``imputed_m`` (B, features of m) from the other modalities alone, NaN where the
        cell has none of them.
        """
        return views_of_cells(self, obs)
