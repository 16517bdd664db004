"""The computation of a mixer between its projections over one block: convolution, recurrence, gated norm.

R cells of a group, T tokens of a block, E projected width (z, x, B, C, dt in this order), I inner
width, C channels, N state, H heads, K taps, Z chunks, c tokens of a chunk.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sc_mamba2.ops.blocks.convolution import convolve_block, convolve_block_backward, last_tokens
from sc_mamba2.ops.blocks.ssd import BlockInputs, BlockScan, scan_block, scan_block_backward


class Normed(NamedTuple):
    """Output of a block's norm, with values for its backward."""

    g_RTI: Tensor  # before the weight
    gate_RTI: Tensor
    scale_RT1: Tensor


class NormGradients(NamedTuple):
    """Gradients of a block's gated norm."""

    dy_RTI: Tensor
    dz_RTI: Tensor
    dweight_I: Tensor


def norm_block(y_RTI: Tensor, z_RTI: Tensor, eps: float) -> Normed:
    """Compute ``u = y silu(z)`` and ``g = u / sqrt(mean(u^2) + eps)``; the caller applies the weight."""
    gate_RTI = functional.silu(z_RTI)
    u_RTI = y_RTI * gate_RTI
    norm_RT1 = torch.linalg.vector_norm(u_RTI, dim=-1, keepdim=True)
    scale_RT1 = (norm_RT1.square() / u_RTI.shape[-1] + eps).rsqrt_()
    return Normed(u_RTI.mul_(scale_RT1), gate_RTI, scale_RT1)


def norm_block_backward(
    dout_RTI: Tensor, weight_I: Tensor, y_RTI: Tensor, z_RTI: Tensor, normed: Normed
) -> NormGradients:
    """Compute the gradients of a block's norm from that of ``weight g``."""
    g_RTI, gate_RTI, scale_RT1 = normed
    product_RTI = dout_RTI * g_RTI
    dweight_I = product_RTI.sum((0, 1))
    pull_RT1 = (product_RTI @ weight_I).unsqueeze(-1) / weight_I.shape[0]
    du_RTI = (dout_RTI * weight_I).addcmul_(g_RTI, pull_RT1, value=-1).mul_(scale_RT1)
    dz_RTI = torch.ops.aten.silu_backward(du_RTI * y_RTI, z_RTI)
    return NormGradients(du_RTI.mul_(gate_RTI), dz_RTI, dweight_I)


class BlockWeights(NamedTuple):
    """A mixer's weights in the form and precision of block computations."""

    taps_KC: Tensor
    conv_bias_C: Tensor
    dt_bias_H: Tensor
    A_H: Tensor  # -exp(A_log)
    D_H: Tensor
    norm_I: Tensor  # divided by the number of directions

    @property
    def parts(self) -> list[int]:
        """Widths of z, of the convolved channels, and of dt."""
        return [len(self.norm_I), len(self.conv_bias_C), len(self.dt_bias_H)]

    @property
    def states(self) -> list[int]:
        """Widths of x, B and C."""
        inner, channels, _ = self.parts
        return [inner, (channels - inner) // 2, (channels - inner) // 2]


class Carried(NamedTuple):
    """State passed from one block to the next in reading order, or its gradient, passed back."""

    state_RNI: Tensor
    before_RKC: Tensor  # last K - 1 inputs of the convolution; as a gradient, that of its sums


class MixedBlock(NamedTuple):
    """Output of a block's forward, with values for its backward."""

    carried: Carried
    z_RTI: Tensor
    xBC_RTC: Tensor
    u_RTC: Tensor  # sums of the convolution
    dt_raw_RTH: Tensor  # before softplus
    inputs: BlockInputs
    scan: BlockScan
    normed: Normed


def block_weights(tensors: Sequence[Tensor], directions: int, kind: torch.dtype) -> BlockWeights:
    """Convert the tensors of `MixerWeights` to the form of block computations."""
    conv_weight, conv_bias, dt_bias, A_log, D, norm = (tensor.to(kind) for tensor in tensors)
    taps_KC = conv_weight[:, 0].t().contiguous()
    return BlockWeights(taps_KC, conv_bias, dt_bias, -A_log.exp(), D, norm / directions)


def weight_gradients(
    sums: BlockWeights, weights: BlockWeights, tensors: Sequence[Tensor], directions: int
) -> list[Tensor]:
    """Convert gradients of `block_weights` back to those of the tensors of `MixerWeights`."""
    dtaps_KC, dconv_bias, ddt_bias, dA, dD, dnorm = sums
    dA_log, dconv_weight_C1K = dA * weights.A_H, dtaps_KC.t().unsqueeze(1)
    found = [dconv_weight_C1K, dconv_bias, ddt_bias, dA_log, dD, dnorm / directions]
    return [part.to(tensor.dtype) for part, tensor in zip(found, tensors, strict=True)]


def zero_state(cells: int, weights: BlockWeights) -> Carried:
    """Return the zero state before the first block of cells."""
    inner, state, _ = weights.states
    taps, channels = weights.taps_KC.shape
    zeros = weights.norm_I.new_zeros
    return Carried(zeros(cells, state, inner), zeros(cells, taps - 1, channels))


def mix_block(
    zxbcdt_RTE: Tensor,
    real_RT: Tensor | None,
    chunk: int,
    carried: Carried,
    weights: BlockWeights,
    eps: float,
) -> MixedBlock:
    """Run a block of tokens.

    Parameters
    ----------
    zxbcdt_RTE
        Output of `in_proj`.
    real_RT
        Mask of real tokens, the others at the end; `None` if all are real.
    chunk
        Tokens of a chunk; divides T.
    carried
        From the previous block.
    weights, eps
        The mixer's weights, and the norm's epsilon.
    """
    z_RTI, xBC_RTC, dt_raw_RTH = zxbcdt_RTE.split(weights.parts, dim=-1)
    u_RTC = convolve_block(xBC_RTC, carried.before_RKC, weights.taps_KC, weights.conv_bias_C)
    dt_raw_RTH = dt_raw_RTH + weights.dt_bias_H
    dt_RTH = functional.softplus(dt_raw_RTH)
    if real_RT is not None:
        dt_RTH = dt_RTH.masked_fill(~real_RT.unsqueeze(-1), 0)
    x_RTI, B_RTN, C_RTN = functional.silu(u_RTC).split(weights.states, dim=-1)
    x_ZcI, dt_ZcH, B_ZcN, C_ZcN = (
        part.unflatten(1, (-1, chunk)).flatten(0, 1) for part in (x_RTI, dt_RTH, B_RTN, C_RTN)
    )
    inputs = BlockInputs(x_ZcI, dt_ZcH, B_ZcN, C_ZcN, weights.A_H, weights.D_H)
    scan = scan_block(inputs, carried.state_RNI)
    normed = norm_block(scan.y_ZcI.view(z_RTI.shape), z_RTI, eps)
    handed_on = Carried(scan.state_RNI, last_tokens(xBC_RTC, carried.before_RKC))
    return MixedBlock(handed_on, z_RTI, xBC_RTC, u_RTC, dt_raw_RTH, inputs, scan, normed)


def mix_block_backward(
    dg_RTI: Tensor, mixed: MixedBlock, before_RKC: Tensor, dcarried: Carried, weights: BlockWeights
) -> tuple[Tensor, BlockWeights, Carried]:
    """Compute the gradients of a block: of its input, of the weights, and of the state carried in.

    `dg_RTI` is the gradient of the output, zero at pads; `before_RKC` are the tokens carried into the block;
    `dcarried` is the gradient from the next block, zero after the last.
    """
    y_RTI = mixed.scan.y_ZcI.view(dg_RTI.shape)
    norm = norm_block_backward(dg_RTI, weights.norm_I, y_RTI, mixed.z_RTI, mixed.normed)
    dy_ZcI = norm.dy_RTI.view(mixed.scan.y_ZcI.shape)
    ssd = scan_block_backward(mixed.inputs, mixed.scan, dy_ZcI, dcarried.state_RNI)
    dconvolved_ZcC = torch.cat([ssd.dx_ZcI, ssd.dB_ZcN, ssd.dC_ZcN], dim=-1)
    du_RTC = torch.ops.aten.silu_backward(dconvolved_ZcC.view(mixed.u_RTC.shape), mixed.u_RTC)
    convolution = convolve_block_backward(
        du_RTC, mixed.xBC_RTC, before_RKC, dcarried.before_RKC, weights.taps_KC
    )
    dt_RTH = mixed.inputs.dt_ZcH.view(mixed.dt_raw_RTH.shape)
    # d(log dt) / d(raw dt), the slope of softplus over its value. Where dt is 0, so is the gradient of log dt.
    slope_RTH = torch.where(dt_RTH > 0, mixed.dt_raw_RTH.sigmoid() / dt_RTH, 0)
    ddt_raw_RTH = ssd.dlogdt_ZcH.view(slope_RTH.shape) * slope_RTH
    dzxbcdt_RTE = torch.cat([norm.dz_RTI, convolution.dx_RTC, ddt_raw_RTH], dim=-1)
    dweights = BlockWeights(
        convolution.dtaps_KC,
        convolution.dbias_C,
        ddt_raw_RTH.sum((0, 1)),
        ssd.dA_H,
        ssd.dD_H,
        norm.dweight_I,
    )
    return dzxbcdt_RTE, dweights, Carried(ssd.dstate_RNI, convolution.du_RKC)
