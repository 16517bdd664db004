"""Initialise a model with the concatenated principal components of the modalities.

Legend: N cells, V joint vocabulary, S features of a modality, C components of it.
"""

import numpy as np
import torch
from scipy import sparse
from sklearn.linear_model import RidgeCV

from sc_mamba2.methods.shrinkage import shrinkage
from sc_mamba2.model import Backbone, grow_backbone
from sc_mamba2.tasks.multiomics.cells import has
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.params import FeatureParams, HeadParams, LossParams
from sc_mamba2.tasks.shared.batches import BATCH, batch_codes
from sc_mamba2.tokens import (
    KINDS,
    TokenizedCells,
    Tokenizer,
    as_matrix,
    kinds_of,
    make_batch,
    reading_order,
)
from sc_mamba2.training import seed_everything
from sc_mamba2.training.components import components

CELLS_AT_ONCE = 64


def new_model(
    backbone: Backbone,
    tokenizer: Tokenizer,
    weight_V: np.ndarray,
    twins: np.ndarray,
    tokens: TokenizedCells,
    head: HeadParams,
    objective: LossParams,
    features: FeatureParams,
    batch_key: str | None,
    seed: int,
) -> MultiomicsModel:
    """Grow a backbone to all modalities and add an untrained head.

    Each modality's block starts as its principal components, centred by batch and shrunk to their size without
    noise, then scaled to a total variance of 1, so that no modality dominates. Missing blocks start as
    predictions by ridge regression from block to block; the decoder starts with the components' loadings. No
    label is used.

    Parameters
    ----------
    backbone
        For the first rows of the joint vocabulary, or for all of them (that of another new model).
    tokenizer, weight_V
        Joint tokenizer; weights of the peaks' values.
    twins
        Rows of proteins and of their genes: a protein's embedding starts as its gene's.
    tokens
        Training cells, with ``batch`` and ``has_…``.
    head, objective, features, batch_key
        See `MultiomicsModel`.
    seed
        Seed of all random draws.
    """
    seed_everything(seed)
    kind_V = kinds_of(tokenizer.vocabulary)
    grown = grow_backbone(backbone, torch.from_numpy(kind_V), len(KINDS))
    present = [kind for kind in KINDS[1:] if has(kind) in tokens.obs]
    names = tuple(sorted(set(tokens.obs[BATCH])))
    codes_N = batch_codes(tokens.obs[BATCH], names)
    values_NV = as_matrix(tokens, tokenizer.vocabulary.size)
    blocks = {}
    for kind in present:
        have_N = tokens.obs[has(kind)].to_numpy(bool)
        columns = np.flatnonzero(kind_V == KINDS.index(kind))
        blocks[kind] = ModalityBlock(values_NV[:, columns], have_N, codes_N, columns, head, seed)
    widths = {kind: block.width for kind, block in blocks.items()}
    model = MultiomicsModel(grown, tokenizer, widths, names, head, objective, features, batch_key)
    with torch.no_grad():
        model.weight_V.copy_(torch.from_numpy(weight_V))
        rows = model.backbone.gene_embedding.weight
        rows[torch.from_numpy(twins[:, 0])] = rows[torch.from_numpy(twins[:, 1])]
        for kind, block in blocks.items():
            model.variance_M[KINDS.index(kind)] = block.variance
            model.decoder.bias[torch.from_numpy(block.columns)] = as_float(block.mean_S)
        if "pooled" in head.paths:
            _set_pooled(model, blocks)
            set_moments(model, tokens, untrained=True)
            scale_E = np.concatenate([block.sizes_C for block in blocks.values()])
            model.norm.weight.copy_(as_float(scale_E))
    return model


class ModalityBlock:
    """The principal components of one modality, with loadings, scales and scores."""

    def __init__(
        self,
        values_NS: sparse.csr_matrix,
        have_N: np.ndarray,
        codes_N: np.ndarray,
        columns: np.ndarray,
        head: HeadParams,
        seed: int,
    ) -> None:
        own = values_NS[have_N]
        self.columns = columns
        self.mean_S = np.asarray(own.mean(axis=0)).ravel()
        variance_S = np.asarray(own.power(2).mean(axis=0)).ravel() - self.mean_S**2
        self.variance = max(float(variance_S.mean()), 1e-8)
        _, codes = np.unique(codes_N[have_N], return_inverse=True)
        scores_NC, loadings_CS = components(own, codes, head.components, seed)
        factors_C = np.ones(len(loadings_CS))
        if head.shrink:
            left = _squares_within(own, codes) - float((scores_NC**2).sum())
            factors_C = shrinkage(np.linalg.norm(scores_NC, axis=0), own.shape, left)
        kept = factors_C > 0
        kept[:2] = True
        loadings_CS, factors_C = loadings_CS[kept], np.maximum(factors_C[kept], 0.05)
        scores_NC = scores_NC[:, kept] * factors_C
        self.scale = 1 / max(float(np.sqrt((scores_NC**2).sum(axis=1).mean())), 1e-12)
        self.table_SC = loadings_CS.T * factors_C * self.scale
        self.decoder_SC = loadings_CS.T / self.scale
        self.offset_C = -self.mean_S @ self.table_SC
        self.scores_NC = np.asarray(values_NS @ self.table_SC) + self.offset_C
        self.sizes_C = (scores_NC * self.scale).std(axis=0)
        self.have_N = have_N

    @property
    def width(self) -> int:
        """Number of components."""
        return self.table_SC.shape[1]


def _set_pooled(model: MultiomicsModel, blocks: dict[str, ModalityBlock]) -> None:
    model.feature_table_VC.zero_()
    model.decoder.weight.zero_()
    penalties = np.power(10.0, model.head.across_penalties)
    first = 0
    for kind, block in blocks.items():
        rows = torch.from_numpy(block.columns)
        model.feature_table_VC[rows, : block.width] = as_float(block.table_SC)
        model.decoder.weight[rows, first : first + block.width] = as_float(block.decoder_SC)
        model.offsets[kind].copy_(as_float(block.offset_C))
        first += block.width
        for other in model.others(kind):
            target, across = blocks[other], model.across.get_parameter(f"{kind}_{other}.weight")
            both = block.have_N & target.have_N
            across.zero_()
            if both.sum() > 2:
                ridge = RidgeCV(penalties, alpha_per_target=True, fit_intercept=False)
                ridge.fit(block.scores_NC[both], target.scores_NC[both])
                across.copy_(as_float(np.atleast_2d(ridge.coef_)))


def _squares_within(values_NS: sparse.csr_matrix, codes_N: np.ndarray) -> float:
    """Return the sum of squares within batches: differences between batches are not noise."""
    total = float(values_NS.power(2).sum())
    for code in np.unique(codes_N):
        mean_S = np.asarray(values_NS[codes_N == code].mean(axis=0)).ravel()
        total -= int((codes_N == code).sum()) * float(mean_S @ mean_S)
    return total


@torch.no_grad()
def set_moments(model: MultiomicsModel, tokens: TokenizedCells, untrained: bool = False) -> None:
    """Set the norm's moments from cells with all their modalities visible.

    Means are by batch. The variance is that of the cells with every modality: blocks predicted from others
    vary less, which must not be scaled up.

    Parameters
    ----------
    model
        Changed in place.
    tokens
        The cells.
    untrained
        Whether the trunk's projection is still zero, so that the trunk can be skipped.
    """
    model.eval()
    norm, targets = model.norm, model.targets(tokens.obs)
    parts, order = [], []
    for cells in reading_order(tokens.lengths, CELLS_AT_ONCE):
        batch = make_batch(tokens, cells, model.tokenizer.vocabulary)
        parts.append(model.pool(batch) if untrained else model.sum_branches(batch)[0])
        order.append(batch.cells_B)
    embedded_NE = torch.cat(parts)[torch.argsort(torch.cat(order))]
    one_domain = len(norm.running_mean) == 1
    batch_N = targets["batch_B"]
    domain_N = torch.zeros_like(batch_N) if one_domain else batch_N
    whole_N = targets["present_BM"].sum(dim=1) == len(model.widths)
    for domain in torch.unique(domain_N):
        norm.running_mean[domain] = embedded_NE[domain_N == domain].mean(dim=0)
    centred_NE = (embedded_NE - norm.running_mean[domain_N])[whole_N]
    norm.running_var.copy_(centred_NE.var(dim=0).expand_as(norm.running_var))


def as_float(array: np.ndarray) -> torch.Tensor:
    """Return an array as a float32 tensor."""
    return torch.from_numpy(np.ascontiguousarray(array)).float()
