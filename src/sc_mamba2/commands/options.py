"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

from sc_mamba2.errors import UserError

# The panels of the help: a verb's own options come first, these after them.
READING, COMPUTING, RUNNING = "Reading the cells", "Computing", "The run"

Layer = Annotated[
    str | None,
    typer.Option(
        help="Layer with the expression; else the first usable matrix.", rich_help_panel=READING
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        help="Tokens a cell at most; the highest values are kept.", rich_help_panel=READING
    ),
]
BatchSize = Annotated[
    int | None, typer.Option(help="Cells a batch when predicting.", rich_help_panel=COMPUTING)
]
EncoderCheckpoint = Annotated[
    str | None,
    typer.Option("--checkpoint", "-c", help="Name of a shipped checkpoint, or a folder."),
]
Device = Annotated[
    str | None,
    typer.Option(help="Where to compute: auto, cpu or cuda.", rich_help_panel=COMPUTING),
]
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
Seed = Annotated[
    int | None, typer.Option(help="Seed of every source of chance.", rich_help_panel=COMPUTING)
]
Output = Annotated[Path, typer.Option("--output", "-o", help="The .h5ad file to write.")]
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Replace results that are there already.", rich_help_panel=RUNNING
    ),
]
Params = Annotated[
    list[str] | None,
    typer.Option(
        "--params",
        help="Any parameter, as name.of.it=value; several by commas.",
        rich_help_panel=RUNNING,
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


def no_length_with_checkpoint() -> UserError:
    """Return the refusal of a length beside a fine-tuned checkpoint, which has its own."""
    return contradiction(
        "--max-length with --checkpoint",
        "the length that the checkpoint was trained with",
        "leave --max-length out",
    )
