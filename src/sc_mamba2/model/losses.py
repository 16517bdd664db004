"""Losses that several tasks share; torch's own are used as they are.

B cells, L tokens.
"""

import torch
from torch import Tensor


def masked_mse(predicted_BL: Tensor, target_BL: Tensor, mask_BL: Tensor) -> Tensor:
    """Mean squared error over the tokens of a mask; zero, gradient too, where the mask is empty.

    Parameters
    ----------
    predicted_BL, target_BL
        Values, (B, L); outside the mask anything, NaN included.
    mask_BL
        Tokens that count, (B, L), bool.
    """
    error_BL = (predicted_BL - target_BL).masked_fill(~mask_BL, 0)
    return error_BL.square().sum() / mask_BL.sum().clamp(min=1)


def masked_zero_nll(nonzero_probability_BL: Tensor, target_BL: Tensor, mask_BL: Tensor) -> Tensor:
    """Mean negative log likelihood, over a mask, of whether a value is zero (Bernoulli).

    Parameters
    ----------
    nonzero_probability_BL
        Probability of a value above zero, (B, L), 0 to 1.
    target_BL
        Values, (B, L), not negative.
    mask_BL
        Tokens that count, (B, L), bool.
    """
    probability_BL = nonzero_probability_BL.masked_fill(~mask_BL, 0.5)
    # Clamped so that a saturated sigmoid costs much but not infinitely much.
    tiny = torch.finfo(probability_BL.dtype).eps
    observed_BL = torch.where(target_BL > 0, probability_BL, 1 - probability_BL).clamp(min=tiny)
    return -observed_BL.log().masked_fill(~mask_BL, 0).sum() / mask_BL.sum().clamp(min=1)
