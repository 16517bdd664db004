"""`scm doctor`: what this machine has, which scan path will run, and how to install what is missing."""

import os
import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

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


def doctor(
    warm: Annotated[
        str | None,
        typer.Option(
            metavar="PRESET", help="Compile and time the scan on the GPU first (minutes)."
        ),
    ] = None,
) -> None:
    """Tell what this machine has and what is missing."""
    from sc_mamba2.commands.results import show_facts

    missing = [name for name in _PACKAGES if _version(name) is None]
    lines = {"python": f"{platform.python_version()} ({sys.executable})"}
    lines |= {name: _version(name) or f"MISSING: pip install {name}" for name in _PACKAGES}
    if "torch" not in missing:
        lines |= _torch(warm)
    lines["memory"] = _memory()
    lines["disk"] = f"{shutil.disk_usage(Path.cwd()).free / 2**30:.1f} GiB free here"
    for name, mend in _OPTIONAL.items():
        lines[name] = _version(name) or f"not installed (optional): {mend}"
    show_facts(lines, lines, 16)
    raise typer.Exit(1 if missing else 0)


def _torch(warm: str | None) -> dict[str, str]:
    import torch

    from sc_mamba2.model.warm import warm_up
    from sc_mamba2.ops import choose_path, fused_missing, kernels_missing, measured_choices

    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    lines = {
        "device": torch.cuda.get_device_name()
        if cuda
        else f"cpu, {torch.get_num_threads()} threads",
        "scan path": choose_path("auto", device),
    }
    for name, missing in (("kernels", kernels_missing(device)), ("fused", fused_missing(device))):
        lines[name] = "ready" if missing is None else f"not used: {missing}"
    if warm is not None and not cuda:
        lines["warm"] = "nothing to do: kernels are compiled for a CUDA GPU"
    elif warm is not None:
        lines["warm"] = (
            f"{warm_up(warm, torch.device(device))} kinds of call are compiled and timed"
        )
    for key, row in measured_choices().items() if cuda else ():
        times = ", ".join(f"{path} {taken:.1f} ms" for path, taken in row["milliseconds"].items())
        lines[f"fastest, {key}"] = f"{row['path']} ({times})"
    return lines


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _memory() -> str:
    if not hasattr(os, "sysconf"):
        return "unknown"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"
