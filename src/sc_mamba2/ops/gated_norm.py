"""Gate and root-mean-square norm that close a mixer, averaged over its directions.

The gradient is written by hand: it needs half the passes over memory that autograd makes.
S directions, B cells, L tokens, I inner width.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


def gated_norm(y_SBLI: Sequence[Tensor], z_BLI: Tensor, weight_I: Tensor, eps: float) -> Tensor:
    """Gate and norm the scan of every direction, and average: the gate is computed once.

    ``u_s = y_s silu(z)``, ``mean over s of u_s / sqrt(mean(u_s^2) + eps)``, times the weight.

    Parameters
    ----------
    y_SBLI
        Output of the scan of each direction, in the order of the tokens, each (B, L, I).
    z_BLI
        Gate before SiLU, (B, L, I).
    weight_I
        (I,).
    eps
        Added to the mean square, above 0.

    Returns
    -------
    Tensor
        (B, L, I). Differentiable once.
    """
    result: Tensor = _GatedNorm.apply(eps, z_BLI, weight_I, *y_SBLI)
    return result


class _GatedNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, eps: float, z_BLI: Tensor, weight_I: Tensor, *y_SBLI: Tensor) -> Tensor:
        gate_BLI = functional.silu(z_BLI)
        u_SBLI = [y_BLI * gate_BLI for y_BLI in y_SBLI]
        scale_SBL1 = [(_mean_product(u, u) + eps).rsqrt_() for u in u_SBLI]
        normed_BLI = u_SBLI[0] * scale_SBL1[0]
        for u_BLI, scale_BL1 in zip(u_SBLI[1:], scale_SBL1[1:], strict=True):
            normed_BLI.addcmul_(u_BLI, scale_BL1)
        ctx.save_for_backward(z_BLI, weight_I, gate_BLI, normed_BLI, *y_SBLI, *u_SBLI, *scale_SBL1)
        return normed_BLI * (weight_I / len(y_SBLI))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        z_BLI, weight_I, gate_BLI, normed_BLI, *rest = ctx.saved_tensors
        count = len(rest) // 3
        y_SBLI, u_SBLI, scale_SBL1 = rest[:count], rest[count : 2 * count], rest[2 * count :]
        dnormed_BLI = gradients[0] * (weight_I / count)
        dweight_I = (gradients[0] * normed_BLI).sum((0, 1)) / count
        dgate_BLI = torch.zeros_like(gate_BLI)
        dy_SBLI = []
        for y_BLI, u_BLI, scale_BL1 in zip(y_SBLI, u_SBLI, scale_SBL1, strict=True):
            pull_BL1 = scale_BL1**3 * _mean_product(dnormed_BLI, u_BLI)
            du_BLI = (dnormed_BLI * scale_BL1).addcmul_(u_BLI, pull_BL1, value=-1)
            dgate_BLI.addcmul_(du_BLI, y_BLI)
            dy_SBLI.append(du_BLI.mul_(gate_BLI))
        dz_BLI = torch.ops.aten.silu_backward(dgate_BLI, z_BLI)
        return None, dz_BLI, dweight_I, *dy_SBLI


def _mean_product(a_BLI: Tensor, b_BLI: Tensor) -> Tensor:
    return (a_BLI * b_BLI).mean(-1, keepdim=True)
