"""Which path runs the scan: chosen by name or by what the machine has, and logged once."""

import logging
from functools import cache
from typing import Literal, get_args

import torch

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.ops.kernels import kernels_missing

ScanPath = Literal["auto", "reference", "blocked", "kernels"]

_log = logging.getLogger(__name__)


def choose_path(
    requested: ScanPath, device: torch.device | str, dtype: torch.dtype = torch.float32
) -> str:
    """Choose the path of the scan, and log each choice once.

    Parameters
    ----------
    requested
        A path by name, or "auto" for the fastest one that runs on `device`.
    device
        Where the tensors lie.
    dtype
        Their precision; the kernels know no double precision.

    Returns
    -------
    str
        The name of a path, never "auto".

    Raises
    ------
    UserError
        Rule `scan-path`, when no path has this name; rule `scan-kernels`, when the kernels are
        asked for and cannot run.
    """
    if requested not in get_args(ScanPath):
        raise UserError(
            "scan-path",
            found=f"'{requested}'",
            expected="one of " + ", ".join(get_args(ScanPath)),
            mend="name one of these paths" + nearest(requested, get_args(ScanPath)),
        )
    return _choose(requested, torch.device(device).type, dtype)


@cache
def _choose(requested: str, device_type: str, dtype: torch.dtype) -> str:
    missing = kernels_missing(device_type)
    if missing is None and dtype == torch.float64:
        missing = "the tensors are in double precision"
    if requested == "kernels" and missing is not None:
        raise UserError(
            "scan-kernels",
            found=missing,
            expected="a CUDA GPU, with mamba-ssm and causal-conv1d, in single or half precision",
            mend="install the extra: pip install --no-build-isolation -e '.[cuda]', or leave the "
            "choice to the scan path 'auto'",
        )
    path = requested
    if requested == "auto":
        path = "kernels" if missing is None else "blocked"
    why = f"; no kernels: {missing}" if path == "blocked" and device_type == "cuda" else ""
    _log.info("scan path on %s: %s (requested: %s%s)", device_type, path, requested, why)
    return path
