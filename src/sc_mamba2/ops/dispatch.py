"""Which path runs the scan. A further path (blocked CPU, GPU kernels) is one more name here."""

import logging
from functools import cache
from typing import Literal, get_args

import torch

from sc_mamba2.errors import UserError, nearest

ScanPath = Literal["auto", "reference", "chunked"]

_log = logging.getLogger(__name__)


def choose_path(requested: ScanPath, device: torch.device | str) -> str:
    """Choose the path of the scan, and log each choice once.

    Parameters
    ----------
    requested
        A path by name, or "auto" for the fastest one that runs on `device`.
    device
        Where the tensors lie.

    Returns
    -------
    str
        The name of a path, never "auto".

    Raises
    ------
    UserError
        Rule `scan-path`, when no path has this name.
    """
    if requested not in get_args(ScanPath):
        raise UserError(
            "scan-path",
            found=f"'{requested}'",
            expected="one of " + ", ".join(get_args(ScanPath)),
            mend="name one of these paths" + nearest(requested, get_args(ScanPath)),
        )
    return _choose(requested, torch.device(device).type)


@cache
def _choose(requested: str, device_type: str) -> str:
    path = "chunked" if requested == "auto" else requested
    _log.info("scan path on %s: %s (requested: %s)", device_type, path, requested)
    return path
