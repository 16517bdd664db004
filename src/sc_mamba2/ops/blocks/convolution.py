"""Causal depthwise convolution over one block, before SiLU, as multiply-adds over tokens, in cache.

R cells, T tokens, C channels, K taps.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class ConvolutionGradients(NamedTuple):
    """Gradients of a block's convolution."""

    dx_RTC: Tensor
    dtaps_KC: Tensor
    dbias_C: Tensor
    du_RKC: Tensor  # of the block's first K - 1 sums, for the previous block


def convolve_block(x_RTC: Tensor, before_RKC: Tensor, taps_KC: Tensor, bias_C: Tensor) -> Tensor:
    """Convolve each channel over a token and the K - 1 before it, without SiLU, (R, T, C).

    ``u_t = bias + sum_k tap_k x_(t - (K-1) + k)``, so the last tap is for the token itself. `before_RKC`
    are the K - 1 tokens before the block, zero before the first token of a cell.
    """
    u_RTC = torch.addcmul(bias_C, x_RTC, taps_KC[-1])
    for lag in range(1, len(taps_KC)):
        edge = min(lag, x_RTC.shape[1])
        tap_C = taps_KC[-1 - lag]
        u_RTC[:, lag:].addcmul_(x_RTC[:, : x_RTC.shape[1] - edge], tap_C)
        first = before_RKC.shape[1] - lag
        u_RTC[:, :edge].addcmul_(before_RKC[:, first : first + edge], tap_C)
    return u_RTC


def convolve_block_backward(
    du_RTC: Tensor, x_RTC: Tensor, before_RKC: Tensor, after_RKC: Tensor, taps_KC: Tensor
) -> ConvolutionGradients:
    """Compute the gradients of a block from those of its sums, before SiLU.

    `after_RKC` is `du_RKC` of the next block; zero after the last token of a cell.
    """
    length = x_RTC.shape[1]
    dx_RTC = du_RTC * taps_KC[-1]
    dtaps_KC = torch.empty_like(taps_KC)
    dtaps_KC[-1] = (du_RTC * x_RTC).sum((0, 1))
    for lag in range(1, len(taps_KC)):
        edge = min(lag, length)
        tap_C = taps_KC[-1 - lag]
        dx_RTC[:, : length - edge].addcmul_(du_RTC[:, lag:], tap_C)
        dx_RTC[:, length - edge :].addcmul_(after_RKC[:, lag - edge : lag], tap_C)
        first = before_RKC.shape[1] - lag
        within_C = (du_RTC[:, lag:] * x_RTC[:, : length - edge]).sum((0, 1))
        edges_C = (du_RTC[:, :edge] * before_RKC[:, first : first + edge]).sum((0, 1))
        dtaps_KC[-1 - lag] = within_C + edges_C
    kept = after_RKC.shape[1]
    du_RKC = torch.cat([du_RTC[:, :kept], after_RKC], dim=1)[:, :kept]
    return ConvolutionGradients(dx_RTC, dtaps_KC, du_RTC.sum((0, 1)), du_RKC)


def last_tokens(x_RTC: Tensor, before_RKC: Tensor) -> Tensor:
    """Return the K - 1 tokens before the next block."""
    kept = before_RKC.shape[1]
    if x_RTC.shape[1] >= kept:
        return x_RTC[:, x_RTC.shape[1] - kept :]
    return torch.cat([before_RKC, x_RTC], dim=1)[:, x_RTC.shape[1] :]
