"""`scm doctor`: what this machine has, which scan path will run, what is missing and how to get it."""

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

_PACKAGES = ("torch", "kedro", "kedro-datasets", "anndata", "scanpy", "pandera", "typer")
_CUDA = (
    "needs a CUDA GPU: pip install ninja packaging setuptools wheel, then "
    "pip install --no-build-isolation 'sc-mamba2[cuda]'"
)
_OPTIONAL = {
    "kedro-viz": "pip install 'sc-mamba2[viz]'",
    "dvc": "pip install 'dvc>=3.60'",
    "mamba-ssm": _CUDA,
    "causal-conv1d": _CUDA,
}


def doctor() -> None:
    """Tell what this machine has and what is missing."""
    from sc_mamba2.commands.results import show_facts

    missing = [name for name in _PACKAGES if _version(name) is None]
    lines = {"python": f"{platform.python_version()} ({sys.executable})"}
    lines |= {name: _version(name) or f"MISSING: pip install {name}" for name in _PACKAGES}
    if "torch" not in missing:
        lines |= _torch()
    lines["memory"] = _memory()
    lines["disk"] = f"{shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB free here"
    for name, mend in _OPTIONAL.items():
        lines[name] = _version(name) or f"not installed (optional): {mend}"
    show_facts(lines, lines, 16)
    raise typer.Exit(1 if missing else 0)


def _torch() -> dict[str, str]:
    import torch

    from sc_mamba2.ops import choose_path, kernels_missing

    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    missing = kernels_missing(device)
    threads = f"cpu, {torch.get_num_threads()} threads"
    return {
        "device": torch.cuda.get_device_name() if cuda else threads,
        "scan path": choose_path("auto", device),
        "kernels": "ready" if missing is None else f"not used: {missing}",
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _memory() -> str:
    if not hasattr(os, "sysconf"):
        return "unknown"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
