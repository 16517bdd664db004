"""Losses that several tasks share; torch's own are used as they are.

Sums serve where a batch is divided (micro-batches, processes), means where it is whole; both are
computed in single precision at least. B cells, L tokens, V vocabulary,
E width of a cell embedding.
"""

import torch
from torch import Tensor
from torch.nn import functional


def masked_mse(predicted_BL: Tensor, target_BL: Tensor, mask_BL: Tensor) -> Tensor:
    """Mean of `masked_squares` over the mask; zero, gradient too, where the mask is empty."""
    return masked_squares(predicted_BL, target_BL, mask_BL) / mask_BL.sum().clamp(min=1)


def masked_squares(predicted_BL: Tensor, target_BL: Tensor, mask_BL: Tensor) -> Tensor:
    """Sum of squared errors over the tokens of a mask.

    Parameters
    ----------
    predicted_BL, target_BL
        Values, (B, L); outside the mask anything, NaN included.
    mask_BL
        Tokens that count, (B, L), bool.

    Returns
    -------
    Tensor
        Scalar, in values squared.
    """
    error_BL = (_at_least_single(predicted_BL) - target_BL).masked_fill(~mask_BL, 0)
    return error_BL.square().sum()


def masked_zero_nll(nonzero_probability_BL: Tensor, target_BL: Tensor, mask_BL: Tensor) -> Tensor:
    """Mean of `masked_zero_nll_sum` over the mask; zero where the mask is empty."""
    total = masked_zero_nll_sum(nonzero_probability_BL, target_BL, mask_BL)
    return total / mask_BL.sum().clamp(min=1)


def masked_zero_nll_sum(
    nonzero_probability_BL: Tensor, target_BL: Tensor, mask_BL: Tensor
) -> Tensor:
    """Sum, over a mask, of the negative log likelihood of whether a value is zero (Bernoulli).

    Parameters
    ----------
    nonzero_probability_BL
        Probability of a value above zero, (B, L), 0 to 1.
    target_BL
        Values, (B, L), not negative.
    mask_BL
        Tokens that count, (B, L), bool.

    Returns
    -------
    Tensor
        Scalar, in nats.
    """
    probability_BL = _at_least_single(nonzero_probability_BL).masked_fill(~mask_BL, 0.5)
    # Clamped so that a saturated sigmoid costs much but not infinitely much.
    tiny = torch.finfo(probability_BL.dtype).eps
    observed_BL = torch.where(target_BL > 0, probability_BL, 1 - probability_BL).clamp(min=tiny)
    return -observed_BL.log().masked_fill(~mask_BL, 0).sum()


def hidden_genes_nll_sum(logits_BV: Tensor, token_ids_BL: Tensor, mask_BL: Tensor) -> Tensor:
    """Sum, over a mask, of the negative log likelihood of its genes as draws among all genes.

    ``- sum log softmax(logits)[gene]``: the genes that a cell hides are held to be drawn from one
    distribution over the vocabulary, told from the rest of the cell (a multinomial, up to a
    constant).

    Parameters
    ----------
    logits_BV
        A logit for every gene of the vocabulary, (B, V).
    token_ids_BL
        Genes, (B, L), 0 to V - 1.
    mask_BL
        Tokens that count, (B, L), bool.

    Returns
    -------
    Tensor
        Scalar, in nats.
    """
    told_BV = functional.log_softmax(_at_least_single(logits_BV), dim=1)
    return -told_BV.gather(1, token_ids_BL).masked_fill(~mask_BL, 0).sum()


def elastic_similarity(cell_BE: Tensor, threshold: float) -> Tensor:
    """Mean, over pairs of different cells, of ``-(cos(a, b) - threshold)^2``.

    Pairs more alike than the threshold are drawn together, the others apart (elastic cell
    similarity, Cui et al. 2024, scGPT).

    Parameters
    ----------
    cell_BE
        Cell embeddings, (B, E).
    threshold
        Cosine from which cells count as alike, 0 to 1.

    Returns
    -------
    Tensor
        Scalar, not above 0; zero, gradient too, where there is one cell.
    """
    unit_BE = functional.normalize(_at_least_single(cell_BE), dim=1)
    squares_BB = (unit_BE @ unit_BE.T - threshold).square().fill_diagonal_(0)
    cells = len(cell_BE)
    return -squares_BB.sum() / max(1, cells * (cells - 1))


def _at_least_single(part: Tensor) -> Tensor:
    return part.to(torch.promote_types(part.dtype, torch.float32))
