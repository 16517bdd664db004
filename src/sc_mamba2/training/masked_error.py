"""Evaluate the prediction of masked values, by bin, with gene means as the baseline; over all processes.

B cells, L tokens, G groups of bins, V vocabulary.
"""

import torch
from torch import Tensor

from sc_mamba2.model.objective import OBJECTIVES, MaskedObjective
from sc_mamba2.training.masked_cells import MaskedCells
from sc_mamba2.training.pretraining import Judged
from sc_mamba2.training.ranks import Ranks, rank_batches

# First bin of each group, for 51 bins: unexpressed, lowest, …, highest tenth.
_FIRST = (0, 1, 2, 6, 16, 31, 46)


@torch.no_grad()
def gene_means(source: MaskedCells, size: int, most: int) -> Tensor:
    """Return the mean bin of each gene where it is masked, over the first cells of an epoch, (V,).

    Genes that are never masked get the overall mean. Uses about `most` training cells, in whole batches.
    """
    sums_V, counts_V = torch.zeros(size, dtype=torch.float64), torch.zeros(size)
    for at, cells in enumerate(source.sampler.batches(0)):
        if at * len(cells) >= most:
            break
        batch = source.load(source.positions[cells], 0)
        rows_M, bins_M = batch.token_ids_BL[batch.mask_BL], batch.target_BL[batch.mask_BL]
        sums_V.index_add_(0, rows_M, bins_M.double())
        counts_V.index_add_(0, rows_M, torch.ones_like(bins_M))
    overall = sums_V.sum() / counts_V.sum().clamp(min=1)
    return torch.where(counts_V > 0, sums_V / counts_V.clamp(min=1), overall).float()


@torch.no_grad()
def masked_error(
    objective: MaskedObjective, source: MaskedCells, means_V: Tensor, batch_size: int, ranks: Ranks
) -> Judged:
    """Evaluate a model on held-out cells; every process takes a share of each batch.

    ``loss`` is the weighted objective. ``model``, ``cell`` and ``gene_mean`` are mean squared errors of
    masked bins, in bins squared: of the token's head, of the cell's head, and of the gene's mean over
    training cells; also by group of bins, such as ``model/6-15``, with the number of tokens.

    Parameters
    ----------
    objective
        Model and losses; its training mode is restored.
    source
        Held-out cells, always with the masks of epoch 0.
    means_V
        `gene_means` of the training cells.
    batch_size
        Cells per process at a time.
    ranks
        This process among all.
    """
    was_training = objective.training
    objective.eval()
    errors_3G = torch.zeros(3, len(_FIRST), dtype=torch.float64, device=ranks.device)
    counts_G = torch.zeros(len(_FIRST), dtype=torch.float64, device=ranks.device)
    sums_O = torch.zeros(len(OBJECTIVES), dtype=torch.float64, device=ranks.device)
    counts_O = torch.zeros_like(sums_O)
    means_V = means_V.to(ranks.device)
    bounds = torch.tensor(_FIRST[1:], dtype=torch.float32, device=ranks.device)
    for cells in source.sampler.batches(0):
        for batch in rank_batches(source, source.positions[cells], 0, batch_size, ranks):
            found = objective(batch)
            sums_O += found.sums_O.double()
            counts_O += objective.target_counts(batch)
            target_M = batch.target_BL[batch.mask_BL]
            group_M = torch.bucketize(target_M, bounds, right=True)
            predicted = (found.own_BL, found.cell_BL, means_V[batch.token_ids_BL])
            for row, predicted_BL in enumerate(predicted):
                error_M = (predicted_BL[batch.mask_BL].double() - target_M).square()
                errors_3G[row].index_add_(0, group_M, error_M)
            counts_G.index_add_(0, group_M, torch.ones_like(target_M, dtype=torch.float64))
    objective.train(was_training)
    errors_3G, counts_G, sums_O, counts_O = (
        ranks.total(part).cpu() for part in (errors_3G, counts_G, sums_O, counts_O)
    )
    loss = float(objective.weighted_sum(sums_O / counts_O.clamp(min=1)))
    n_bins = objective.model.backbone.config.n_bins
    masked = counts_G.sum().clamp(min=1)
    named = {}
    for row, name in enumerate(("model", "cell", "gene_mean")):
        named[name] = float(errors_3G[row].sum() / masked)
    ends = [*(first - 1 for first in _FIRST[1:]), n_bins - 1]
    for at, (first, end) in enumerate(zip(_FIRST, ends, strict=True)):
        if counts_G[at] > 0:
            group = f"{first}-{end}" if end > first else f"{first}"
            errors = (errors_3G[:, at] / counts_G[at]).tolist()
            for name, error in zip(("model", "cell", "gene_mean"), errors, strict=True):
                named[f"{name}/{group}"] = error
            named[f"tokens/{group}"] = float(counts_G[at])
    return Judged(loss, named)
