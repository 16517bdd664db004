"""The computation of a Mamba2 mixer between `in_proj` and `out_proj`, in one direction or both.

The only entry point to the scan's paths, chosen by name or by availability. Pads have no influence
and zero outputs. B rows, L tokens, E projected width (z, x, B, C, dt in this order), I inner
width, S cells of a packed row.
"""

import logging
from collections.abc import Sequence
from functools import cache
from typing import Any, get_args

import torch
from torch import Tensor

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.ops.blocks import scan_in_blocks
from sc_mamba2.ops.kernels import fused_missing, kernels_missing, scan_with_kernels
from sc_mamba2.ops.options import ScanPath
from sc_mamba2.ops.reference import scan_reference
from sc_mamba2.ops.weights import MixerWeights, at_least_single

_log = logging.getLogger(__name__)

# In order of preference if nothing was measured.
KERNEL_PATHS: tuple[ScanPath, ...] = ("kernels", "fused", "twice")
# Head and state sizes that the fused path supports.
_FUSED_SIZES = (16, 32, 64, 128)


def choose_path(
    requested: ScanPath, device: torch.device | str, dtype: torch.dtype = torch.float32
) -> str:
    """Choose the path of the scan, and log each choice once; kernels do not support double precision.

    Returns the name of a path, never "auto", which becomes the first of `KERNEL_PATHS` that runs on a GPU,
    else "blocked".

    Raises
    ------
    UserError
        Rule `scan-path` for an unknown name; rule `scan-kernels` if the requested kernels cannot run.
    """
    if requested not in get_args(ScanPath):
        raise UserError(
            "scan-path",
            found=f"'{requested}'",
            expected="one of " + ", ".join(get_args(ScanPath)),
            mend="choose one of these paths" + nearest(requested, get_args(ScanPath)),
        )
    return _choose(requested, torch.device(device).type, dtype)


def kernel_paths(device: torch.device | str, dtype: torch.dtype) -> list[ScanPath]:
    """Return the kernel paths that run on a device, candidates for a measurement."""
    return [
        path for path in KERNEL_PATHS if _missing(path, torch.device(device).type, dtype) is None
    ]


@cache
def _missing(path: str, device_type: str, dtype: torch.dtype) -> str | None:
    """Return why a path cannot run, or `None` if it can."""
    if path in KERNEL_PATHS and dtype == torch.float64:
        return "the tensors are in double precision"
    if path in ("kernels", "twice"):
        return kernels_missing(device_type)
    return fused_missing(device_type) if path == "fused" else None


@cache
def _choose(requested: str, device_type: str, dtype: torch.dtype) -> str:
    missing: dict[str, str | None] = {
        path: _missing(path, device_type, dtype) for path in KERNEL_PATHS
    }
    if (reason := missing.get(requested)) is not None:
        raise UserError(
            "scan-kernels",
            found=reason,
            expected="a CUDA GPU, with Triton for 'fused', with mamba-ssm and causal-conv1d for 'kernels' "
            "and 'twice', in single or half precision",
            mend="pip install --no-build-isolation 'sc-mamba2[cuda]' (`scm doctor` gives details), or use "
            "the scan path 'auto'",
        )
    path = requested
    if requested == "auto":
        running = [name for name in KERNEL_PATHS if missing[name] is None]
        path = running[0] if running and device_type == "cuda" else "blocked"
    why = (
        f"; no kernels: {missing['kernels']}" if path == "blocked" and device_type == "cuda" else ""
    )
    _log.info("scan path on %s: %s (requested: %s%s)", device_type, path, requested, why)
    return path


def bidirectional_scan(
    zxbcdt_BLE: Tensor, lengths: Tensor, weights: MixerWeights, path: ScanPath = "auto"
) -> Tensor:
    """Run one mixer in both directions over the real tokens and average.

    ``(g_forward + flip(g_backward)) / 2``, where the backward direction reads each cell reversed by
    `smart_flip`. `out_proj` has no bias, so projecting this average once is exact.

    Parameters
    ----------
    zxbcdt_BLE
        Output of `in_proj`, (B, L, E): z, x, B, C, dt.
    lengths
        Real tokens of each row, (B,), or of each cell of packed rows, (B, S); see `rows`.
    weights, path
        The mixer's weights, and the path of the scan, see `choose_path`.

    Returns
    -------
    Tensor
        (B, L, I), zero at pads, with the dtype of `zxbcdt_BLE`. Differentiable once.
    """
    return _scan(zxbcdt_BLE, lengths, weights, path, [False, True])


def directional_scan(
    zxbcdt_BLE: Tensor,
    lengths: Tensor,
    weights: MixerWeights,
    path: ScanPath = "auto",
    reverse: bool = False,
) -> Tensor:
    """Run a mixer in one direction over the real tokens, (B, L, I), zero at pads.

    With `reverse` each cell is read from its last real token to its first, with outputs in input order.
    Other parameters as in `bidirectional_scan`.
    """
    return _scan(zxbcdt_BLE, lengths, weights, path, [reverse])


def _scan(
    zxbcdt_BLE: Tensor,
    lengths: Tensor,
    weights: MixerWeights,
    path: ScanPath,
    directions: Sequence[bool],
) -> Tensor:
    chosen = choose_path(path, zxbcdt_BLE.device, zxbcdt_BLE.dtype)
    if chosen == "fused" and (misfit := _misfit(weights)):
        if path == "fused":
            raise UserError(
                "scan-path",
                found=misfit,
                expected="16, 32, 64 or 128 for the kernels of the path 'fused'",
                mend="use the scan path 'auto'",
            )
        chosen = "blocked"
    if chosen == "blocked":
        return scan_in_blocks(zxbcdt_BLE, lengths, weights, directions)
    # Under autocast the projections come in half precision; the scan needs its weights unchanged.
    with torch.autocast(zxbcdt_BLE.device.type, enabled=False):
        if chosen == "fused":
            from sc_mamba2.ops.fused.path import scan_fused  # Triton is not everywhere

            return scan_fused(zxbcdt_BLE, lengths, weights, directions)
        if chosen in ("kernels", "twice"):
            g_BLI = scan_with_kernels(zxbcdt_BLE, lengths, weights, directions)
        else:
            given_BLE, raised = _in_single(zxbcdt_BLE, weights)
            ways = [scan_reference(given_BLE, lengths, raised, reverse) for reverse in directions]
            g_BLI = torch.stack(ways).mean(0) if len(ways) > 1 else ways[0]
    return g_BLI.to(zxbcdt_BLE.dtype)


def _misfit(weights: MixerWeights) -> str | None:
    sizes = {"a head dim": weights.head_dim, "a state": weights.d_state}
    wrong = [f"{name} of {size}" for name, size in sizes.items() if size not in _FUSED_SIZES]
    return " and ".join(wrong) or None


def _in_single(zxbcdt_BLE: Tensor, weights: MixerWeights) -> tuple[Tensor, MixerWeights]:
    named = {name: part for name, part in weights._asdict().items() if isinstance(part, Tensor)}
    kind = at_least_single(zxbcdt_BLE, *named.values())
    raised: dict[str, Any] = {name: part.to(kind) for name, part in named.items()}
    return zxbcdt_BLE.to(kind), weights._replace(**raised)
