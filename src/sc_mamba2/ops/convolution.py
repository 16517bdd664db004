"""Causal depthwise convolution and SiLU over tokens, as multiply-adds. Its twin is torch's conv1d.

The gradient is written by hand: autograd would keep one array a tap. B rows, L tokens, C channels,
K taps.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def causal_convolution(x_BLC: Tensor, weight_C1K: Tensor, bias_C: Tensor) -> Tensor:
    """Convolve every channel with its own taps, looking back only, then apply SiLU.

    ``y_t = silu(bias + sum_k weight_k x_(t - (K-1) + k))``, tokens before the first being zero.

    Parameters
    ----------
    x_BLC
        (B, L, C).
    weight_C1K
        Taps as in `torch.nn.Conv1d(C, C, K, groups=C)`, (C, 1, K), the last for the token itself.
    bias_C
        (C,).

    Returns
    -------
    Tensor
        (B, L, C), contiguous.
    """
    result: Tensor = _CausalConvolution.apply(x_BLC, weight_C1K, bias_C)
    return result


class _CausalConvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_BLC: Tensor, weight_C1K: Tensor, bias_C: Tensor) -> Tensor:
        taps_KC = weight_C1K[:, 0].t().contiguous()
        u_BLC = torch.addcmul(bias_C, x_BLC, taps_KC[-1])
        for lag in range(1, min(len(taps_KC), x_BLC.shape[1])):
            u_BLC[:, lag:].addcmul_(x_BLC[:, :-lag], taps_KC[-1 - lag])
        ctx.save_for_backward(x_BLC, taps_KC, u_BLC)
        return torch.nn.functional.silu(u_BLC)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x_BLC, taps_KC, u_BLC = ctx.saved_tensors
        du_BLC = torch.ops.aten.silu_backward(gradients[0].contiguous(), u_BLC)
        dx_BLC = du_BLC * taps_KC[-1]
        dtaps_KC = torch.zeros_like(taps_KC)
        dtaps_KC[-1] = (du_BLC * x_BLC).sum((0, 1))
        for lag in range(1, min(len(taps_KC), x_BLC.shape[1])):
            dx_BLC[:, :-lag].addcmul_(du_BLC[:, lag:], taps_KC[-1 - lag])
            dtaps_KC[-1 - lag] = (du_BLC[:, lag:] * x_BLC[:, :-lag]).sum((0, 1))
        return dx_BLC, dtaps_KC.t().unsqueeze(1), du_BLC.sum((0, 1))
