"""The readable reference: flip, convolution, token-by-token recurrence, norm, flip back.

Cells of packed rows are processed one by one. B rows, L tokens, E projected width (z, x, B, C, dt in
this order), I inner width, H heads, P head dim, N state, C = I + 2 N channels.
"""

import torch
from torch import Tensor
from torch.nn import functional

from sc_mamba2.ops.rows import cell_spans, real_tokens, smart_flip
from sc_mamba2.ops.weights import MixerWeights


def ssd_reference(
    x_BLHP: Tensor, dt_BLH: Tensor, A_H: Tensor, B_BLN: Tensor, C_BLN: Tensor, D_H: Tensor
) -> Tensor:
    """Run the recurrence of one group, step by step.

    ``h_t = exp(dt_t A) h_(t-1) + dt_t x_t B_t``, ``y_t = C_t h_t + D x_t``, ``h_0 = 0``
    (arXiv 2405.21060).

    Parameters
    ----------
    x_BLHP
        Inputs, (B, L, H, P).
    dt_BLH
        Time steps after softplus, (B, L, H), at least 0; 0 leaves the state unchanged.
    A_H
        Decay rates, (H,), negative.
    B_BLN, C_BLN
        Input and output projections of the state, (B, L, N), shared by the heads.
    D_H
        Weight of the skip connection, (H,).

    Returns
    -------
    Tensor
        (B, L, H, P).
    """
    rows, length, heads, width = x_BLHP.shape
    state_BHPN = x_BLHP.new_zeros(rows, heads, width, B_BLN.shape[-1])
    outputs = []
    for t in range(length):
        decay_BH = torch.exp(dt_BLH[:, t] * A_H)
        input_BHP = dt_BLH[:, t, :, None] * x_BLHP[:, t]
        written_BHPN = input_BHP[..., None] * B_BLN[:, t, None, None, :]
        state_BHPN = decay_BH[..., None, None] * state_BHPN + written_BHPN
        read_BHP = (state_BHPN @ C_BLN[:, t, None, :, None]).squeeze(-1)
        outputs.append(read_BHP + D_H[:, None] * x_BLHP[:, t])
    return torch.stack(outputs, dim=1) if outputs else x_BLHP.clone()


def scan_reference(
    zxbcdt_BLE: Tensor, lengths: Tensor, weights: MixerWeights, reverse: bool
) -> Tensor:
    """Run one direction of a mixer between its projections, (B, L, I), zero at pads.

    Parameters as in `dispatch.directional_scan`. Differentiable any number of times.
    """
    if not zxbcdt_BLE.numel():
        return zxbcdt_BLE[..., : weights.inner]
    if lengths.dim() == 2:
        return _cell_by_cell(zxbcdt_BLE, lengths, weights, reverse)
    row_BLE = smart_flip(zxbcdt_BLE, lengths) if reverse else zxbcdt_BLE
    z_BLI, xBC_BLC, dt_BLH = row_BLE.split(weights.parts, dim=-1)
    taps = weights.conv_weight.shape[-1]
    padded_BCL = functional.pad(xBC_BLC.mT, (taps - 1, 0))
    convolved_BCL = functional.conv1d(
        padded_BCL, weights.conv_weight, weights.conv_bias, groups=padded_BCL.shape[1]
    )
    x_BLI, B_BLN, C_BLN = functional.silu(convolved_BCL).mT.split(weights.states, dim=-1)
    x_BLHP = x_BLI.unflatten(-1, (-1, weights.head_dim))
    dt_BLH = functional.softplus(dt_BLH + weights.dt_bias)
    A_H = -torch.exp(weights.A_log)
    y_BLI = ssd_reference(x_BLHP, dt_BLH, A_H, B_BLN, C_BLN, weights.D).flatten(2)
    gated_BLI = y_BLI * functional.silu(z_BLI)
    g_BLI = functional.rms_norm(gated_BLI, (weights.inner,), weights.norm_weight, weights.eps)
    g_BLI = smart_flip(g_BLI, lengths) if reverse else g_BLI
    return g_BLI.masked_fill(~real_tokens(lengths, g_BLI.shape[1]).unsqueeze(-1), 0)


def _cell_by_cell(
    zxbcdt_BLE: Tensor, lengths_BS: Tensor, weights: MixerWeights, reverse: bool
) -> Tensor:
    rows, length = zxbcdt_BLE.shape[:2]
    spans = cell_spans(lengths_BS, length)
    parts, end = [], 0
    for start, size in zip(spans.starts.tolist(), spans.lengths.tolist(), strict=True):
        cell_1LE = zxbcdt_BLE.flatten(0, 1)[None, start : start + size]
        parts.append(zxbcdt_BLE.new_zeros(1, start - end, weights.inner))
        parts.append(scan_reference(cell_1LE, spans.lengths.new_tensor([size]), weights, reverse))
        end = start + size
    parts.append(zxbcdt_BLE.new_zeros(1, rows * length - end, weights.inner))
    return torch.cat(parts, dim=1).view(rows, length, weights.inner)
