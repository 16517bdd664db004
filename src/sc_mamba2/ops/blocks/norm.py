"""Gate and root-mean-square norm that close a mixer, over one block.

R cells, T tokens, I inner width.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Normed(NamedTuple):
    """What the norm of a block gives, and what its backward reads again."""

    g_RTI: Tensor  # before the weight
    gate_RTI: Tensor
    scale_RT1: Tensor


class NormGradients(NamedTuple):
    """Gradients of a block's gated norm."""

    dy_RTI: Tensor
    dz_RTI: Tensor
    dweight_I: Tensor


def norm_block(y_RTI: Tensor, z_RTI: Tensor, eps: float) -> Normed:
    """Compute ``u = y silu(z)`` and ``g = u / sqrt(mean(u^2) + eps)``; the caller weighs it."""
    gate_RTI = functional.silu(z_RTI)
    u_RTI = y_RTI * gate_RTI
    norm_RT1 = torch.linalg.vector_norm(u_RTI, dim=-1, keepdim=True)
    scale_RT1 = (norm_RT1.square() / u_RTI.shape[-1] + eps).rsqrt_()
    return Normed(u_RTI.mul_(scale_RT1), gate_RTI, scale_RT1)


def norm_block_backward(
    dout_RTI: Tensor, weight_I: Tensor, y_RTI: Tensor, z_RTI: Tensor, normed: Normed
) -> NormGradients:
    """Give the gradients of a block, from that of ``weight g``."""
    g_RTI, gate_RTI, scale_RT1 = normed
    product_RTI = dout_RTI * g_RTI
    dweight_I = product_RTI.sum((0, 1))
    pull_RT1 = (product_RTI @ weight_I).unsqueeze(-1) / weight_I.shape[0]
    du_RTI = (dout_RTI * weight_I).addcmul_(g_RTI, pull_RT1, value=-1).mul_(scale_RT1)
    dz_RTI = torch.ops.aten.silu_backward(du_RTI * y_RTI, z_RTI)
    return NormGradients(du_RTI.mul_(gate_RTI), dz_RTI, dweight_I)
