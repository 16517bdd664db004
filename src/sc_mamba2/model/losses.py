"""Losses that several tasks share and torch does not have.

Sums add up to the same total however a batch is divided (micro-batches, processes); all are computed
in single precision at least. B cells, L tokens, V vocabulary, E width of a cell embedding.
"""

import torch
from torch import Tensor
from torch.nn import functional


def masked_squares(predicted_BL: Tensor, target_BL: Tensor, mask_BL: Tensor) -> Tensor:
    """Sum squared errors over the tokens of a mask, a scalar; values outside it, even NaN, are ignored."""
    error_BL = (_at_least_single(predicted_BL) - target_BL).masked_fill(~mask_BL, 0)
    return error_BL.square().sum()


def masked_zero_nll_sum(
    nonzero_probability_BL: Tensor, target_BL: Tensor, mask_BL: Tensor
) -> Tensor:
    """Sum, over a mask, the negative log likelihood of whether a value is zero (Bernoulli), in nats.

    `nonzero_probability_BL` is the probability of a value above zero; targets must not be negative.
    """
    probability_BL = _at_least_single(nonzero_probability_BL).masked_fill(~mask_BL, 0.5)
    # Clamped so that a saturated sigmoid has a large but finite loss.
    tiny = torch.finfo(probability_BL.dtype).eps
    observed_BL = torch.where(target_BL > 0, probability_BL, 1 - probability_BL).clamp(min=tiny)
    return -observed_BL.log().masked_fill(~mask_BL, 0).sum()


def hidden_genes_nll_sum(logits_BV: Tensor, token_ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
    """Sum, over a mask, the negative log likelihood of its genes as draws from all genes, in nats.

    ``- sum log softmax(logits)[gene]``: the hidden genes of a cell are modelled as draws from one
    distribution over the vocabulary (a multinomial, up to a constant).
    """
    log_probability_BV = functional.log_softmax(_at_least_single(logits_BV), dim=1)
    return -log_probability_BV.gather(1, token_ids_BL).masked_fill(~mask_BL, 0).sum()


def elastic_similarity(cell_BE: Tensor, threshold: float) -> Tensor:
    """Return the mean of ``-(cos(a, b) - threshold)^2`` over pairs of different cells.

    Pairs with a cosine above the threshold are pulled together, the others pushed apart (elastic cell
    similarity, Cui et al. 2024, scGPT). At most 0; zero, with zero gradient, for a single cell.
    """
    unit_BE = functional.normalize(_at_least_single(cell_BE), dim=1)
    squares_BB = (unit_BE @ unit_BE.T - threshold).square().fill_diagonal_(0)
    cells = len(cell_BE)
    return -squares_BB.sum() / max(1, cells * (cells - 1))


def _at_least_single(part: Tensor) -> Tensor:
    return part.to(torch.promote_types(part.dtype, torch.float32))
