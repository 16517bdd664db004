"""Options of `scm run` that tasks have too, and what is refused of options."""

from pathlib import Path
from typing import Annotated

import typer

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.table import COMPUTING, READING, RUNNING

ScanPath = Annotated[
    str | None,
    typer.Option(
        help="How to scan: auto, reference, blocked or kernels.", rich_help_panel=COMPUTING
    ),
]
RequireKernels = Annotated[
    bool,
    typer.Option(
        "--require-kernels", help="Stop unless the GPU kernels run.", rich_help_panel=COMPUTING
    ),
]
Layer = Annotated[
    str | None,
    typer.Option(
        help="Layer with the expression; else the first usable matrix.", rich_help_panel=READING
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace results that are there already.", rich_help_panel=RUNNING
    ),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Show every node that runs.", rich_help_panel=RUNNING),
]


def forced_path(scan_path: str | None, require_kernels: bool) -> str | None:
    """Say which path of the scan the options ask for, if any.

    Raises
    ------
    UserError
        Rule `options`, when they contradict each other; rule `scan-kernels`, when kernels are
        required and cannot run: before anything else is done.
    """
    if not require_kernels:
        return scan_path
    if scan_path not in (None, "auto", "kernels"):
        raise contradiction(
            f"--require-kernels with --scan-path {scan_path}", "one of the two", "leave one out"
        )
    import torch

    from sc_mamba2.ops import choose_path

    return choose_path("kernels", "cuda" if torch.cuda.is_available() else "cpu")


def from_here(source: str | None) -> str | None:
    """Return a file, folder or glob as it is called from any folder; a named source as it is."""
    if source is None or ":" in source.split("/")[0]:
        return source
    return str(Path.cwd() / source)


def contradiction(found: str, expected: str, mend: str) -> UserError:
    """Return the refusal of options that mean nothing together (rule `options`)."""
    return UserError("options", found=found, expected=expected, mend=mend)
