"""The multi-omics model: from modalities to one cell embedding, and from it to every modality.

Legend: B cells, L tokens, D width of the backbone, E width of the cell embedding, C width of a
modality's block of it, V joint vocabulary, K batches, M kinds of tokens, H width of a batch's embedding.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sc_mamba2.cells.modalities.kinds import RNA
from sc_mamba2.model import Backbone, BatchDiscriminator, DomainNorm, TaskModel
from sc_mamba2.model.domains import batch_excess
from sc_mamba2.tasks.multiomics.cells import has
from sc_mamba2.tasks.multiomics.imputer import Imputer
from sc_mamba2.tasks.multiomics.loss import alignment, draw_visible, reconstruction
from sc_mamba2.tasks.multiomics.params import FeatureParams, HeadParams, LossParams
from sc_mamba2.tasks.shared.batches import BATCH, batch_codes
from sc_mamba2.tokens import KINDS, Batch, Tokenizer, hide_tokens, kinds_of, visible_part

MAX_DECODED_FEATURES = 5000  # features of a modality that the decoder imputes, at most


class MultiomicsModel(TaskModel):
    """Embeds cells of several modalities; a cell may lack some.

    ``z = Norm_k(T h_cls + [block_1, block_2, …])``. If a cell has modality m, its block is
    ``sum_l v_l A[f_l]`` over the tokens of m; if not, it is predicted as the mean of ``C_nm block_n`` over the
    modalities n that it has. ``h_cls`` is the backbone's state at `<cls>` given all of the cell's tokens, v
    the values, A a table of features, k the batch. A decoder predicts every feature of every modality from z
    and the batch; one `Imputer` a modality predicts it from the others only.

    Parameters
    ----------
    backbone
        Grown to the joint vocabulary, with an embedding for each kind of token.
    tokenizer
        Makes the tokens that the model reads.
    widths
        C of every modality, by its name.
    batches
        K names, in the order of the codes.
    head, objective, features
        Branches, weights of the loss, how features are read.
    batch_key
        Column of `obs` that the batches came from; None: a single batch.
    anchors
        Numbers of anchor cells of the existing imputers, by modality.
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
            if "pooled" in head.paths:  # start at zero, so that it adds only what helps
                nn.init.zeros_(self.trunk_projection.weight)
        self.norm = DomainNorm(
            self.width, len(batches) if head.domain_norm else 1, shared_scale=True
        )
        # The components keep their initial sizes, as in batch correction.
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
        """Set the mode; the norm keeps its moments, since training steps see only parts of cells."""
        super().train(mode)
        self.norm.eval()
        return self

    @property
    def kind_V(self) -> Tensor:
        """Kind of every token, (V,)."""
        assert self.backbone.token_kinds is not None, "the backbone was grown"
        return self.backbone.token_kinds.kind_of_token_V

    def gene_weights(self) -> np.ndarray:
        """Return the importance of each RNA token, (V,); 0 for the other modalities."""
        genes = np.isin(np.arange(self.tokenizer.vocabulary.size), self.rows_of(RNA).cpu().numpy())
        return np.asarray(super().gene_weights() * genes)

    def rows_of(self, kind: str) -> Tensor:
        """Return the rows of a modality's features."""
        return self._rows[kind]

    def others(self, kind: str) -> tuple[str, ...]:
        """Return the other modalities."""
        return tuple(other for other in self.widths if other != kind)

    def add_imputer(self, kind: str, anchors: int) -> Imputer:
        """Add an empty imputer of a modality, and return it."""
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
            "widths": [list(pair) for pair in self.widths.items()],  # in the order of the blocks
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
        """Concatenate the blocks of the modalities, (B, E); absent ones are predicted from the others."""
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
        others = self.others(kind)
        predicted = [self.across[f"{n}_{kind}"](blocks[n]) * present[n] for n in others]
        count_B1 = sum(present[n] for n in others)
        absent_BC = torch.stack(predicted).sum(dim=0) / torch.as_tensor(count_B1).clamp(min=1)
        return blocks[kind] * present[kind] + absent_BC * (1 - present[kind])

    def states(self, batch: Batch) -> Tensor | None:
        """Return the backbone's state at `<cls>`, (B, D), or None without the trunk."""
        if "trunk" not in self.head.paths:
            return None
        hidden_BLD: Tensor = self.backbone(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)
        return hidden_BLD[:, 0]

    def sum_branches(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the sum of the branches, (B, E), before the norm, and the trunk's states."""
        states_BD = self.states(batch)
        branches = []
        if states_BD is not None:
            branches.append(self.trunk_projection(states_BD))
        if "pooled" in self.head.paths:
            branches.append(self.pool(batch))
        return torch.stack(branches).sum(dim=0), states_BD

    def embed(self, batch: Batch, batch_B: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the embeddings of cells of batches (B,), (B, E), and the trunk's states."""
        summed_BE, states_BD = self.sum_branches(batch)
        domain_B = batch_B if self.head.domain_norm else torch.zeros_like(batch_B)
        return self.norm(summed_BE, domain_B), states_BD

    def forward(self, batch: Batch, batch_B: Tensor) -> Tensor:
        """Return the embeddings, (B, E), of cells of batches (B,), 0 to K - 1."""
        return self.embed(batch, batch_B)[0]

    def decode(self, cell_BE: Tensor, batch_B: Tensor) -> Tensor:
        """Predict every feature, (B, V), from embeddings and batches."""
        decoded_BV: Tensor = self.decoder(cell_BE)
        if len(self.batches) > 1:
            together = torch.cat([cell_BE, self.batch_encoder(batch_B)], dim=1)
            decoded_BV = decoded_BV + self.batch_decoder(together)
        return decoded_BV

    def view(self, batch: Batch, kinds: tuple[str, ...]) -> Batch:
        """Return the cells with only these modalities visible."""
        visible_M = torch.zeros(len(KINDS), dtype=torch.bool, device=batch.cells_B.device)
        visible_M[[KINDS.index(kind) for kind in kinds]] = True
        visible_BM = visible_M.expand(len(batch.cells_B), -1)
        return visible_part(batch, self.kind_V, visible_BM, self.backbone.config.pad_id)

    def parameter_groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """Give the feature table its own learning rate, since a cell sums hundreds of its rows."""
        groups = super().parameter_groups(learning_rate, weight_decay)
        if "pooled" not in self.head.paths:
            return groups
        for group in groups:
            group["params"] = [p for p in group["params"] if p is not self.feature_table_VC]
        rate = learning_rate * self.head.table_rate_factor
        table = {"params": [self.feature_table_VC], "lr": rate, "weight_decay": 0.0}
        return [group for group in groups if group["params"]] + [table]

    def targets(self, obs: pd.DataFrame) -> dict[str, Tensor]:
        """Return batches, their weights, and modalities of cells; labels are never used."""
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
        """Return the training loss; in evaluation mode the loss that chooses the epoch."""
        if self.training:
            return self._training_loss(batch, targets)
        with torch.no_grad():
            return self._validation_loss(batch, targets)

    def _training_loss(self, batch: Batch, targets: dict[str, Tensor]) -> Tensor:
        """Return the loss of a training step.

        A share of the cells show one modality only, drawn among those they have; a share of the visible
        tokens is masked. Everything that a cell has must be reconstructed. The batch adversary and the
        contrastive alignment are added if they have a weight.
        """
        objective, batch_B, present_BM = self.objective, targets["batch_B"], targets["present_BM"]
        visible_BM = draw_visible(present_BM, objective.alone_share)
        seen = visible_part(batch, self.kind_V, visible_BM, self.backbone.config.pad_id)
        seen = hide_tokens(seen, objective.mask_share, by_chance=True)
        cell_BE = self(seen, batch_B)
        total = self._reconstruction(cell_BE, batch, batch_B, present_BM)
        if objective.adversary and len(self.batches) > 1:
            logits_BK = self.discriminator(cell_BE, objective.adversary)
            losses_B = F.cross_entropy(logits_BK, batch_B, reduction="none")
            total = total + (losses_B * targets["weight_B"]).mean()
        if objective.contrast:
            embedded = {kind: self(self.view(batch, (kind,)), batch_B) for kind in self.widths}
            aligned = alignment(embedded, present_BM, objective.temperature)
            total = total + objective.contrast * aligned
        return total

    def _validation_loss(self, batch: Batch, targets: dict[str, Tensor]) -> Tensor:
        """Return the loss that chooses the epoch: reconstruction from all modalities, and from each alone.

        The mask is the same at every call. With several batches, how well neighbours predict them is added;
        the adversary's own loss would reward a discriminator that has learnt nothing.
        """
        objective, batch_B, present_BM = self.objective, targets["batch_B"], targets["present_BM"]
        masked = hide_tokens(batch, objective.mask_share, by_chance=False)
        whole_BE = self(masked, batch_B)
        losses = [self._reconstruction(whole_BE, batch, batch_B, present_BM)]
        for kind in self.widths:
            alone_BE = self(self.view(masked, (kind,)), batch_B)
            have_B1 = present_BM[:, KINDS.index(kind), None]
            losses.append(self._reconstruction(alone_BE, batch, batch_B, present_BM & have_B1))
        total = torch.stack(losses).mean()
        if len(self.batches) > 1:
            total = total + objective.mixing * batch_excess(whole_BE, batch_B)
        return total

    def _reconstruction(
        self, cell_BE: Tensor, batch: Batch, batch_B: Tensor, counted_BM: Tensor
    ) -> Tensor:
        decoded_BV = self.decode(cell_BE, batch_B)
        return reconstruction(decoded_BV, batch, counted_BM, self._rows, self.variance_M)

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """Raise: the batches are needed; see `predictor`."""
        raise NotImplementedError("the batches of the cells are needed: call predictor(obs)")

    def predictor(self, obs: pd.DataFrame) -> Callable[[Batch], dict[str, Tensor]]:
        """Return a function that embeds and imputes cells.

        Its outputs are ``joint`` (B, E) from all modalities of a cell; ``embedding_m`` (B, E) from modality m
        only, NaN if the cell lacks it; ``imputed_m`` (B, features of m) from the other modalities only, NaN if
        it has none of them. Without an imputer, the decoder imputes up to `MAX_DECODED_FEATURES` features.
        """
        targets = self.targets(obs)

        def predict_cells(batch: Batch) -> dict[str, Tensor]:
            device = batch.cells_B.device
            batch_B, present_BM = (
                targets[name].to(device)[batch.cells_B] for name in ("batch_B", "present_BM")
            )
            have = {kind: present_BM[:, KINDS.index(kind)] for kind in self.widths}

            @cache
            def seen(*kinds: str) -> tuple[Batch, Tensor, Tensor | None]:
                view = self.view(batch, kinds)
                return view, *self.embed(view, batch_B)

            outputs = {"joint": self.embed(batch, batch_B)[0]}
            for kind in self.widths:
                outputs[f"embedding_{kind}"] = _or_nan(seen(kind)[1], have[kind])
            for kind, rows_P in self._rows.items():
                if kind not in self.imputers and len(rows_P) > MAX_DECODED_FEATURES:
                    continue
                others = self.others(kind)
                view, cell_BE, states_BD = seen(*others)
                if kind in self.imputers:
                    imputed_BP = self.imputers[kind](view, cell_BE, states_BD)
                else:
                    imputed_BP = self.decode(cell_BE, batch_B)[:, rows_P]
                any_B = torch.stack([have[other] for other in others]).any(dim=0)
                outputs[f"imputed_{kind}"] = _or_nan(imputed_BP, any_B)
            return outputs

        return predict_cells


def _or_nan(output: Tensor, present_B: Tensor) -> Tensor:
    return output.masked_fill(~present_B[:, None], float("nan"))
