"""Paths with the kernels of `causal-conv1d` and `mamba-ssm`: one scan per direction between shared
projections, or the whole mixer twice, projections included.

B rows, L tokens, D width, E projected width (z, x, B, C, dt in this order), I inner width, C channels, P head dim.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from sc_mamba2.ops.rows import cell_numbers, real_tokens
from sc_mamba2.ops.weights import MixerWeights

# The default of `mamba_ssm`; the CPU path has 64.
CHUNK = 256
# The convolution kernel needs a token stride that is a multiple of this.
_STRIDE = 8
# Rows are padded to a multiple of this: Triton recompiles for other lengths.
_LENGTH = 16


def kernels_missing(device_type: str) -> str | None:
    """Return why the kernels cannot run on a device, or `None` if they can."""
    if device_type != "cuda":
        return f"the device is {device_type}, not a CUDA GPU"
    absent = [name for name in ("mamba_ssm", "causal_conv1d") if find_spec(name) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    try:
        _kernels()
    except Exception as error:  # kernels built for another torch or CUDA fail in many ways
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"installed, but they cannot be loaded ({reason[:160]})"
    return None


def fused_missing(device_type: str) -> str | None:
    """Return why our own Triton kernels cannot run on a device, or `None` if they can.

    Triton's interpreter (TRITON_INTERPRET=1, set before Triton is imported) runs them on a CPU, very slowly.
    """
    if device_type != "cuda" and os.environ.get("TRITON_INTERPRET") != "1":
        return f"the device is {device_type}, not a CUDA GPU"
    if find_spec("triton") is None:
        return "not installed: triton"
    try:
        import_module("sc_mamba2.ops.fused.path")
    except Exception as error:  # an incompatible Triton version
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"installed, but Triton does not take them ({reason[:160]})"
    return None


def scan_with_kernels(
    zxbcdt_BLE: Tensor, lengths: Tensor, weights: MixerWeights, reverse: Sequence[bool]
) -> Tensor:
    """Run a mixer between its projections by kernels and average the directions, (B, L, I), zero at pads.

    Parameters as in `blocks.scan_in_blocks`; single or half precision, on a CUDA device.
    """
    length = zxbcdt_BLE.shape[1]
    if not zxbcdt_BLE.numel():
        return zxbcdt_BLE[..., : weights.inner]
    if length % _LENGTH:
        zxbcdt_BLE = functional.pad(zxbcdt_BLE, (0, 0, 0, -length % _LENGTH))
    padded = zxbcdt_BLE.shape[1]
    pad_BL1 = ~real_tokens(lengths, padded).unsqueeze(-1)
    # Pads have a cell number of their own, but products with their content must stay finite.
    zxbcdt_BLE = zxbcdt_BLE.masked_fill(pad_BL1, 0)
    cell_BL = cell_numbers(lengths, padded)
    # The norm is linear in its weight, so averaging the directions there is free.
    weights = weights._replace(norm_weight=weights.norm_weight / len(reverse))
    ways = []
    for backwards in reverse:
        numbers_BL = (cell_BL.amax() - cell_BL).flip(1) if backwards else cell_BL
        given_BLE = zxbcdt_BLE.flip(1) if backwards else zxbcdt_BLE
        g_BLI = _one_way(given_BLE, numbers_BL, weights)
        ways.append(g_BLI.flip(1) if backwards else g_BLI)
    g_BLI = ways[0] + ways[1] if len(ways) > 1 else ways[0]
    return g_BLI.masked_fill(pad_BL1, 0)[:, :length]


def _one_way(zxbcdt_BLE: Tensor, cell_BL: Tensor, weights: MixerWeights) -> Tensor:
    convolve, scan, norm, _ = _kernels()
    z_BLI, xBC_BLC, dt_BLH = zxbcdt_BLE.split(weights.parts, dim=-1)
    if xBC_BLC.stride(1) % _STRIDE:
        # Not contiguous(): it keeps the stride of a single row and token.
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
    return g_BLI


def mix_each_direction(
    x_BLD: Tensor,
    project_in: Callable[[Tensor], Tensor],
    project_out: Callable[[Tensor], Tensor],
    lengths: Tensor,
    weights: MixerWeights,
) -> Tensor:
    """Run a whole mixer per direction as `mamba_ssm.Mamba2` does, and average, (B, L, D), zero at pads.

    The baseline for the other paths: projections twice, with one kernel for everything in between.
    """
    *_, split_scan = _kernels()
    length = x_BLD.shape[1]
    if not x_BLD.numel():
        return x_BLD
    x_BLD = functional.pad(x_BLD, (0, 0, 0, -length % _LENGTH)) if length % _LENGTH else x_BLD
    cell_BL = cell_numbers(lengths, x_BLD.shape[1])
    ways = []
    for backwards in (False, True):
        zxbcdt_BLE = project_in(x_BLD.flip(1) if backwards else x_BLD)
        with torch.autocast(x_BLD.device.type, enabled=False):
            g_BLI = split_scan(
                zxbcdt_BLE,
                weights.conv_weight.squeeze(1),
                weights.conv_bias,
                weights.dt_bias,
                -torch.exp(weights.A_log.float()),
                D=weights.D,
                chunk_size=CHUNK,
                seq_idx=(cell_BL.amax() - cell_BL).flip(1) if backwards else cell_BL,
                activation="silu",
                rmsnorm_weight=weights.norm_weight,
                rmsnorm_eps=weights.eps,
                headdim=weights.head_dim,
                ngroups=1,
                norm_before_gate=False,
            )
        mixed_BLD = project_out(g_BLI)
        ways.append(mixed_BLD.flip(1) if backwards else mixed_BLD)
    pad_BL1 = ~real_tokens(lengths, x_BLD.shape[1]).unsqueeze(-1)
    return ((ways[0] + ways[1]) / 2).masked_fill(pad_BL1, 0)[:, :length]


@cache
def _kernels() -> tuple[Any, Any, Any, Any]:
    from causal_conv1d import causal_conv1d_fn

    with _bare_package("mamba_ssm"):
        norm = import_module("mamba_ssm.ops.triton.layernorm_gated")
        combined = import_module("mamba_ssm.ops.triton.ssd_combined")
    return (
        causal_conv1d_fn,
        combined.mamba_chunk_scan_combined,
        norm.rmsnorm_fn,
        combined.mamba_split_conv1d_scan_combined,
    )


@contextmanager
def _bare_package(package: str) -> Iterator[None]:
    """Allow importing modules of a package without running its `__init__.py`.

    `mamba_ssm/__init__.py` imports models, TileLang and kernels for other layers, and fails with newer
    versions of these; its Triton modules need none of them. An already imported package is kept.
    """
    if package in sys.modules:
        yield
        return
    spec = find_spec(package)
    assert spec is not None and spec.submodule_search_locations is not None
    sys.modules[package] = bare = ModuleType(package)
    bare.__path__, bare.__spec__ = list(spec.submodule_search_locations), spec
    try:
        yield
    finally:
        del sys.modules[package]
