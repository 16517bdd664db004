"""The GPU path: the kernels of `causal-conv1d` and `mamba-ssm`, called once a direction.

The projections stay shared with the other direction; `mamba_ssm.Mamba2` would repeat them. B rows,
L tokens, E projected width (z, x, B, C, dt in this order), I inner width, C channels, P head dim.
"""

from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sc_mamba2.ops.rows import cell_numbers, real_tokens
from sc_mamba2.ops.weights import MixerWeights

# The default of `mamba_ssm`; the CPU path has 64.
CHUNK = 256
# The convolution kernel wants rows of tokens to be a multiple of this apart.
_STRIDE = 8
# Triton compiles anew for a length that is no multiple of this: rows are padded to the next one.
_LENGTH = 16


def kernels_missing(device_type: str) -> str | None:
    """Say why the kernels cannot run on a device; None where they can."""
    if device_type != "cuda":
        return f"the device is {device_type}, not a CUDA GPU"
    absent = [name for name in ("mamba_ssm", "causal_conv1d") if find_spec(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    try:
        _kernels()
    except Exception as error:  # built for another torch or CUDA, they fail in many ways
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"installed, but they cannot be loaded ({reason[:160]})"
    return None


def scan_with_kernels(
    zxbcdt_BLE: Tensor, lengths: Tensor, weights: MixerWeights, reverse: bool
) -> Tensor:
    """Run one direction of a mixer between its projections by kernels, (B, L, I), zero at pads.

    Parameters as in `dispatch.directional_scan`; single or half precision, on a CUDA device.
    """
    convolve, scan, norm = _kernels()
    length = zxbcdt_BLE.shape[1]
    if not zxbcdt_BLE.numel():
        return zxbcdt_BLE[..., : weights.inner]
    zxbcdt_BLE = functional.pad(zxbcdt_BLE, (0, 0, 0, -length % _LENGTH))
    padded = zxbcdt_BLE.shape[1]
    pad_BL1 = ~real_tokens(lengths, padded).unsqueeze(-1)
    # Pads have a number of their own, but a product with what they hold must stay finite.
    zxbcdt_BLE = zxbcdt_BLE.masked_fill(pad_BL1, 0)
    cell_BL = cell_numbers(lengths, padded)
    if reverse:
        zxbcdt_BLE = zxbcdt_BLE.flip(1)
        cell_BL = (cell_BL.amax() - cell_BL).flip(1)
    z_BLI, xBC_BLC, dt_BLH = zxbcdt_BLE.split(weights.parts, dim=-1)
    if xBC_BLC.stride(1) % _STRIDE:
        # Not contiguous(): that leaves the stride of a single row and token as it is.
        xBC_BLC = xBC_BLC.clone(memory_format=torch.contiguous_format)
    convolved_BLC = convolve(
        xBC_BLC.mT,
        weights.conv_weight.squeeze(1),
        weights.conv_bias,
        seq_idx=cell_BL,
        activation="silu",
    ).mT
    x_BLI, B_BLN, C_BLN = convolved_BLC.split(weights.states, dim=-1)
    y_BLHP = scan(
        x_BLI.unflatten(-1, (-1, weights.head_dim)),
        dt_BLH,
        -torch.exp(weights.A_log.float()),
        B_BLN.unsqueeze(2),
        C_BLN.unsqueeze(2),
        CHUNK,
        D=weights.D,
        dt_bias=weights.dt_bias,
        dt_softplus=True,
        seq_idx=cell_BL,
    )
    g_BLI: Tensor = norm(
        y_BLHP.flatten(2),
        weights.norm_weight,
        None,
        z=z_BLI,
        eps=weights.eps,
        norm_before_gate=False,
    )
    g_BLI = g_BLI.flip(1) if reverse else g_BLI
    return g_BLI.masked_fill(pad_BL1, 0)[:, :length]


@cache
def _kernels() -> tuple[Any, Any, Any]:
    from causal_conv1d import causal_conv1d_fn
    from mamba_ssm.ops.triton.layernorm_gated import rmsnorm_fn
    from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined

    return causal_conv1d_fn, mamba_chunk_scan_combined, rmsnorm_fn
