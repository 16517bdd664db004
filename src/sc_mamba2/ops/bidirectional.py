"""What a Mamba2 mixer does between `in_proj` and `out_proj`, in one direction and in both.

Rows are right-padded; pads change nothing and their outputs are zero. B cells, L tokens, E
projected width (z, x, B, C, dt in this order), I inner width, H heads, P head dim, N state,
C = I + 2 N channels.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from sc_mamba2.ops.chunked import ssd_chunked
from sc_mamba2.ops.convolution import causal_convolution
from sc_mamba2.ops.dispatch import ScanPath, choose_path
from sc_mamba2.ops.flip import real_tokens, smart_flip
from sc_mamba2.ops.gated_norm import gated_norm
from sc_mamba2.ops.reference import ssd_reference
from sc_mamba2.ops.row_blocks import in_row_blocks

# Rows of a block hold about this many tokens: measured best, flat from 256 to 1,024.
_BLOCK_TOKENS = 512


class MixerWeights(NamedTuple):
    """The weights of a mixer that stand between its two projections."""

    conv_weight: Tensor  # (I + 2 N, 1, K)
    conv_bias: Tensor  # (I + 2 N)
    dt_bias: Tensor  # (H)
    A_log: Tensor  # (H)
    D: Tensor  # (H)
    norm_weight: Tensor  # (I)
    eps: float
    d_state: int
    head_dim: int


def bidirectional_scan(
    zxbcdt_BLE: Tensor, lengths_B: Tensor, weights: MixerWeights, path: ScanPath = "auto"
) -> Tensor:
    """Run one mixer in both directions over the real tokens and average.

    ``(g_forward + flip(g_backward)) / 2``, where the backward direction sees the row by smart flip.
    `out_proj` has no bias, so projecting this average once is exact.

    Parameters
    ----------
    zxbcdt_BLE
        Output of `in_proj`, (B, L, E): z, x, B, C, dt.
    lengths_B
        Real tokens of each row, (B,), 0 to L.
    weights
        The mixer's weights.
    path
        Path of the scan; see `dispatch`.

    Returns
    -------
    Tensor
        (B, L, I), zero at pads.
    """
    scan = _BOTH[choose_path(path, zxbcdt_BLE.device)]
    return _in_weights_precision(scan, zxbcdt_BLE, lengths_B, weights)


def directional_scan(
    zxbcdt_BLE: Tensor,
    lengths_B: Tensor,
    weights: MixerWeights,
    path: ScanPath = "auto",
    reverse: bool = False,
) -> Tensor:
    """Run a mixer in one direction over the real tokens.

    Parameters
    ----------
    zxbcdt_BLE, lengths_B, weights, path
        As in `bidirectional_scan`.
    reverse
        From the last real token to the first; the output stands in the order of the input.

    Returns
    -------
    Tensor
        (B, L, I), zero at pads.
    """
    scan = partial(_ONE[choose_path(path, zxbcdt_BLE.device)], reverse=reverse)
    return _in_weights_precision(scan, zxbcdt_BLE, lengths_B, weights)


def _in_weights_precision(
    scan: Callable[..., Tensor], zxbcdt_BLE: Tensor, lengths_B: Tensor, weights: MixerWeights
) -> Tensor:
    """Keep autocast out: it gives half-precision projections, but the scan needs its fp32 weights."""
    kind = torch.promote_types(zxbcdt_BLE.dtype, weights.A_log.dtype)
    with torch.autocast(zxbcdt_BLE.device.type, enabled=False):
        return scan(zxbcdt_BLE.to(kind), lengths_B, weights).to(zxbcdt_BLE.dtype)


def _reference_both(zxbcdt_BLE: Tensor, lengths_B: Tensor, weights: MixerWeights) -> Tensor:
    ahead_BLI = _reference_one(zxbcdt_BLE, lengths_B, weights, False)
    back_BLI = _reference_one(zxbcdt_BLE, lengths_B, weights, True)
    return (ahead_BLI + back_BLI) / 2


def _reference_one(
    zxbcdt_BLE: Tensor, lengths_B: Tensor, weights: MixerWeights, reverse: bool
) -> Tensor:
    """The plain form: flip, torch's convolution, step by step, norm, flip back."""
    row_BLE = smart_flip(zxbcdt_BLE, lengths_B) if reverse else zxbcdt_BLE
    z_BLI, xBC_BLC, dt_BLH = _split(row_BLE, weights)
    taps = weights.conv_weight.shape[-1]
    padded_BCL = functional.pad(xBC_BLC.mT, (taps - 1, 0))
    convolved_BCL = functional.conv1d(
        padded_BCL, weights.conv_weight, weights.conv_bias, groups=padded_BCL.shape[1]
    )
    dt_BLH = functional.softplus(dt_BLH + weights.dt_bias)
    y_BLI = _scan(ssd_reference, functional.silu(convolved_BCL).mT, dt_BLH, weights)
    gated_BLI = y_BLI * functional.silu(z_BLI)
    inner = weights.norm_weight.shape
    g_BLI = functional.rms_norm(gated_BLI, inner, weights.norm_weight, weights.eps)
    g_BLI = smart_flip(g_BLI, lengths_B) if reverse else g_BLI
    return g_BLI.masked_fill(~real_tokens(lengths_B, g_BLI.shape[1]).unsqueeze(-1), 0)


def _chunked_both(zxbcdt_BLE: Tensor, lengths_B: Tensor, weights: MixerWeights) -> Tensor:
    return _in_blocks(_chunked_both_block, zxbcdt_BLE, lengths_B, weights)


def _in_blocks(
    function: Callable[..., Tensor], zxbcdt_BLE: Tensor, lengths_B: Tensor, weights: MixerWeights
) -> Tensor:
    """On a CPU, treat a few rows at a time; an accelerator has no such cache and wants them all."""
    if zxbcdt_BLE.device.type != "cpu":
        return function(zxbcdt_BLE, lengths_B, weights)
    named = {name: part for name, part in weights._asdict().items() if isinstance(part, Tensor)}

    def block(rows_BLE: Tensor, lengths_B: Tensor, tensors: Sequence[Tensor]) -> Tensor:
        own: dict[str, Any] = dict(zip(named, tensors, strict=True))
        return function(rows_BLE, lengths_B, weights._replace(**own))

    return in_row_blocks(block, zxbcdt_BLE, lengths_B, list(named.values()), _BLOCK_TOKENS)


def _chunked_both_block(zxbcdt_BLE: Tensor, lengths_B: Tensor, weights: MixerWeights) -> Tensor:
    """Both directions as 2 B rows: the second half is the whole row reversed, pads in front."""
    z_BLI, xBC_BLC, dt_BLH = _split_real(zxbcdt_BLE, lengths_B, weights)
    xBC_2BLC = torch.cat([xBC_BLC, xBC_BLC.flip(1)])
    dt_2BLH = torch.cat([dt_BLH, dt_BLH.flip(1)])
    convolved_2BLC = causal_convolution(xBC_2BLC, weights.conv_weight, weights.conv_bias)
    ahead_BLI, back_BLI = _scan(ssd_chunked, convolved_2BLC, dt_2BLH, weights).chunk(2)
    y_SBLI = (ahead_BLI, back_BLI.flip(1))
    return gated_norm(y_SBLI, z_BLI, weights.norm_weight, weights.eps)


def _chunked_one(
    zxbcdt_BLE: Tensor, lengths_B: Tensor, weights: MixerWeights, reverse: bool
) -> Tensor:
    function = partial(_chunked_one_block, reverse=reverse)
    return _in_blocks(function, zxbcdt_BLE, lengths_B, weights)


def _chunked_one_block(
    zxbcdt_BLE: Tensor, lengths_B: Tensor, weights: MixerWeights, reverse: bool
) -> Tensor:
    z_BLI, xBC_BLC, dt_BLH = _split_real(zxbcdt_BLE, lengths_B, weights)
    if reverse:
        xBC_BLC, dt_BLH = xBC_BLC.flip(1), dt_BLH.flip(1)
    convolved_BLC = causal_convolution(xBC_BLC, weights.conv_weight, weights.conv_bias)
    y_BLI = _scan(ssd_chunked, convolved_BLC, dt_BLH, weights)
    y_BLI = y_BLI.flip(1) if reverse else y_BLI
    return gated_norm([y_BLI], z_BLI, weights.norm_weight, weights.eps)


def _split(row_BLE: Tensor, weights: MixerWeights) -> tuple[Tensor, Tensor, Tensor]:
    heads = weights.A_log.shape[0]
    inner = heads * weights.head_dim
    z_BLI, xBC_BLC, dt_BLH = row_BLE.split([inner, inner + 2 * weights.d_state, heads], dim=-1)
    return z_BLI, xBC_BLC, dt_BLH


def _split_real(
    row_BLE: Tensor, lengths_B: Tensor, weights: MixerWeights
) -> tuple[Tensor, Tensor, Tensor]:
    """Gate, convolution input and time steps, all zero at pads.

    A zero gate makes the output zero, a zero input keeps pads out of the convolution of the first
    real tokens of a reversed row, and a zero time step leaves the state as it is.
    """
    pad_BL1 = ~real_tokens(lengths_B, row_BLE.shape[1]).unsqueeze(-1)
    ragged = bool(pad_BL1.any())
    if ragged:
        row_BLE = row_BLE.masked_fill(pad_BL1, 0)
    z_BLI, xBC_BLC, dt_BLH = _split(row_BLE, weights)
    dt_BLH = functional.softplus(dt_BLH + weights.dt_bias)
    return z_BLI, xBC_BLC, dt_BLH.masked_fill(pad_BL1, 0) if ragged else dt_BLH


def _scan(
    ssd: Callable[..., Tensor], xBC_BLC: Tensor, dt_BLH: Tensor, weights: MixerWeights
) -> Tensor:
    heads, state = weights.A_log.shape[0], weights.d_state
    inner = heads * weights.head_dim
    x_BLI, B_BLN, C_BLN = xBC_BLC.split([inner, state, state], dim=-1)
    x_BLHP = x_BLI.unflatten(-1, (heads, weights.head_dim))
    return ssd(x_BLHP, dt_BLH, -torch.exp(weights.A_log), B_BLN, C_BLN, weights.D).flatten(2)


_BOTH: dict[str, Callable[..., Tensor]] = {"reference": _reference_both, "chunked": _chunked_both}
_ONE: dict[str, Callable[..., Tensor]] = {"reference": _reference_one, "chunked": _chunked_one}
