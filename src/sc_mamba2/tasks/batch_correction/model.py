"""The batch correction model: the map of an integration, and an optional network as one candidate.

Legend: B cells, L tokens, D width of the backbone, E width of the cell embedding, V vocabulary,
K batches, H width of a batch's embedding.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sc_mamba2.model import (
    Backbone,
    BatchDiscriminator,
    DomainNorm,
    TaskModel,
    elastic_similarity,
    sum_of_genes,
)
from sc_mamba2.model.domains import batch_excess
from sc_mamba2.tasks.batch_correction.mapping import CorrectionMap
from sc_mamba2.tasks.batch_correction.params import HeadParams, LossParams
from sc_mamba2.tasks.shared.batches import BATCH, batch_codes
from sc_mamba2.tokens import Batch, TokenizedCells, Tokenizer
from sc_mamba2.tokens.augmentation import hide_tokens


class BatchCorrectionModel(TaskModel):
    """Embeds cells without batch effects, by a map (`map`) and optionally a network (`has_network`).

    The map is fitted to the joint result of all candidates. The network, if trained, is one of the
    candidates; by default there is none. Its embedding is
    ``z = Norm_k(T h_cls + P sum_l v_l E[g_l])`` with ``h_cls`` the backbone's state at `<cls>`, v
    log-normalised values, E the gene embedding, k the cell's batch (`DomainNorm`). The decoder is
    ``x = W z + c + MLP(z, b_k)``: expression of every gene of the vocabulary, with ``b_k`` an embedding
    of the batch, used nowhere else. Batch effects specific to a cell type can thus be modelled by the
    decoder and need not be encoded in z. The loss is

    ``mean((x - v)^2) / s + cross entropy(discriminator(reverse(z)), k) + w ECS(z)``

    where a share of the tokens is masked in the input, and s is the mean variance of the genes. Masked
    genes, visible genes and zeros have equal weight.

    Parameters
    ----------
    backbone
        The trunk and the gene embedding.
    tokenizer
        Makes the tokens that the model reads.
    batches
        K names, in the order of the codes.
    head
        Branches (`paths`), widths, the norm.
    objective
        Weights of the loss.
    batch_key
        Column of `obs` with the batches.
    """

    task = "batch_correction"

    def __init__(
        self,
        backbone: Backbone,
        tokenizer: Tokenizer,
        batches: tuple[str, ...],
        head: HeadParams,
        objective: LossParams,
        batch_key: str,
    ) -> None:
        super().__init__(backbone, tokenizer)
        self.batches, self.head, self.objective = batches, head, objective
        self.batch_key = batch_key
        self.map: CorrectionMap | None = None
        self.weights: dict[str, float] = {}  # of the candidates
        # Genes of the candidates: variable over all cells, and variable within batches.
        self.chosen_2V: Tensor
        self.register_buffer(
            "chosen_2V", torch.zeros(2, tokenizer.vocabulary.size, dtype=torch.bool)
        )
        if self.has_network:
            self._build_network()

    def _build_network(self) -> None:
        head, batches = self.head, self.batches
        width, genes = self.backbone.config.d_model, self.tokenizer.vocabulary.size
        if "trunk" in head.paths:
            self.trunk_projection = nn.Linear(width, head.width, bias=False)
        if "pooled" in head.paths:
            self.pooled_projection = nn.Linear(width, head.width, bias=False)
            if "trunk" in head.paths:  # together with pooled the trunk starts at zero
                nn.init.zeros_(self.trunk_projection.weight)
        self.norm = DomainNorm(head.width, len(batches) if head.domain_norm else 1)
        # The components keep their initial scale: since the decoder adapts to any scale, training would
        # inflate noise components to the scale of those that separate types.
        self.norm.requires_grad_(False)
        self.batch_encoder = nn.Embedding(len(batches), head.batch_width)
        self.decoder = nn.Linear(head.width, genes)
        self.batch_decoder = nn.Sequential(
            nn.Linear(head.width + head.batch_width, head.decoder_width),
            nn.LeakyReLU(),
            nn.Linear(head.decoder_width, genes, bias=False),
        )
        self.discriminator = BatchDiscriminator(head.width, len(batches))
        self.gene_variance: Tensor
        self.register_buffer("gene_variance", torch.ones(()))

    @property
    def has_network(self) -> bool:
        """Whether a network is trained."""
        return self.head.fit == "gradient"

    @property
    def is_fitted_directly(self) -> bool:
        """Whether nothing is trained by gradients."""
        return not self.has_network

    def fit_directly(
        self, parts: list[tuple[TokenizedCells, dict[str, np.ndarray]]], seed: int
    ) -> None:
        """Do nothing; `combine` fits the map."""

    def copy(self) -> "BatchCorrectionModel":
        """Return a deep copy."""
        return deepcopy(self)

    def gene_weights(self) -> np.ndarray:
        """Return the weight of each token in the model, (V,); with a map, in its components."""
        return super().gene_weights() if self.map is None else self.map.gene_weights()

    def settings(self) -> dict[str, Any]:
        """Return the settings from which `from_settings` builds the same model."""
        return {
            "weights": self.weights,
            "map": None if self.map is None else self.map.shapes(),
            "batches": list(self.batches),
            "head": self.head.model_dump(mode="json"),
            "objective": self.objective.model_dump(mode="json"),
            "batch_key": self.batch_key,
        }

    @classmethod
    def from_settings(
        cls, backbone: Backbone, tokenizer: Tokenizer, settings: dict[str, Any]
    ) -> "BatchCorrectionModel":
        """Build an untrained model from stored settings."""
        model = cls(
            backbone,
            tokenizer,
            tuple(settings["batches"]),
            HeadParams(**settings["head"]),
            LossParams(**settings["objective"]),
            settings["batch_key"],
        )
        model.weights = settings["weights"]
        if settings["map"] is not None:
            model.map = CorrectionMap(settings["map"])
        return model

    def project(self, batch: Batch) -> Tensor:
        """Return the sum of the projected branches, (B, E): the embedding before the norm."""
        branches = []
        if "trunk" in self.head.paths:
            hidden_BLD = self.backbone(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)
            branches.append(self.trunk_projection(hidden_BLD[:, 0]))
        if "pooled" in self.head.paths:
            pooled_BD = sum_of_genes(batch, self.backbone.gene_embedding.weight)
            branches.append(self.pooled_projection(pooled_BD))
        return torch.stack(branches).sum(dim=0)

    def forward(self, batch: Batch, batch_B: Tensor) -> Tensor:
        """Embed cells, (B, E), given their batches, (B,), 0 to K - 1."""
        domain_B = batch_B if self.head.domain_norm else torch.zeros_like(batch_B)
        embedded_BE: Tensor = self.norm(self.project(batch), domain_B)
        return embedded_BE

    def decode(self, cell_BE: Tensor, batch_BH: Tensor) -> Tensor:
        """Predict the expression of every gene, (B, V), from cell embedding and batch embedding."""
        together = torch.cat([cell_BE, batch_BH], dim=1)
        decoded_BV: Tensor = self.decoder(cell_BE) + self.batch_decoder(together)
        return decoded_BV

    @torch.no_grad()
    def corrected_expression(self, cell_BE: Tensor) -> Tensor:
        """Predict the expression of every gene, (B, V), as if every cell came from the mean batch."""
        assert self.map is not None
        return self.map.decode(cell_BE)

    def targets(self, obs: pd.DataFrame) -> dict[str, Tensor]:
        """Return batch codes, (N,) int64, and inverse-frequency weights from ``obs["batch"]``; no labels."""
        codes = batch_codes(obs[BATCH], self.batches)
        shares_K = np.bincount(codes, minlength=len(self.batches)) / max(1, len(codes))
        weights_K = 1 / np.maximum(shares_K * len(self.batches), 1e-9)
        return {
            "batch_B": torch.from_numpy(codes),
            "weight_B": torch.from_numpy(weights_K[codes]).float(),
        }

    def loss(self, batch: Batch, targets: dict[str, Tensor]) -> Tensor:
        """Return the training loss; in evaluation mode the loss that selects the epoch.

        The latter is the reconstruction plus the share, beyond chance, of a cell's neighbours that come
        from its own batch: the adversary's loss would reward a discriminator that has learnt nothing.
        """
        batch_B, objective = targets["batch_B"], self.objective
        seen = hide_tokens(batch, objective.mask_share, by_chance=self.training)
        cell_BE = self(seen, batch_B)
        reconstruction = self._reconstruction(cell_BE, batch, batch_B)
        if not self.training:
            return reconstruction + objective.mixing * batch_excess(cell_BE, batch_B)
        total = reconstruction
        if objective.adversary:
            logits_BK = self.discriminator(cell_BE, objective.adversary)
            losses_B = F.cross_entropy(logits_BK, batch_B, reduction="none")
            total = total + (losses_B * targets["weight_B"]).mean()
        if objective.similarity:
            similarity = elastic_similarity(cell_BE, objective.similarity_threshold)
            total = total + objective.similarity * similarity
        return total

    def _reconstruction(self, cell_BE: Tensor, batch: Batch, batch_B: Tensor) -> Tensor:
        decoded_BV = self.decode(cell_BE, self.batch_encoder(batch_B))
        target_BV = self._values(batch).to(decoded_BV)
        return (decoded_BV - target_BV).square().mean() / self.gene_variance

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """Raise: a cell cannot be corrected without its batch; use `predictor`."""
        raise NotImplementedError("the batches of the cells are needed: call predictor(obs)")

    def predictor(self, obs: pd.DataFrame) -> Callable[[Batch], dict[str, Tensor]]:
        """Return the function that predicts ``embedding`` (B, E) of the cells of a table with ``batch``.

        It uses the map, else the network; without either the embedding is empty (B, 0).
        """
        batch_N = torch.from_numpy(batch_codes(obs[BATCH], self.batches))

        def embed(batch: Batch) -> dict[str, Tensor]:
            own_B = batch_N.to(batch.cells_B.device)[batch.cells_B]
            network_BE = self(batch, own_B) if self.has_network else None
            if self.map is not None:
                return {"embedding": self.map(self._values(batch), network_BE, own_B)}
            return {
                "embedding": own_B.new_zeros(len(own_B), 0) if network_BE is None else network_BE
            }

        return embed

    def _values(self, batch: Batch) -> Tensor:
        """Return the dense values by gene, (B, V)."""
        values_BV = batch.values_BL.new_zeros(len(batch.cells_B), self.tokenizer.vocabulary.size)
        return values_BV.scatter_add_(1, batch.token_ids_BL, batch.values_BL)
