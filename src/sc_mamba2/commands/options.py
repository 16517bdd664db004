"""Options shared by several verbs, and their checks."""

from pathlib import Path
from typing import Annotated

import typer

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.shared.row import RUNNING

Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Show every node that runs.", rich_help_panel=RUNNING),
]


def forced_path(scan_path: str | None, require_kernels: bool) -> str | None:
    """Return the scan path requested by the options, if any.

    Raises
    ------
    UserError
        Rule `options` if they contradict each other; rule `scan-kernels` if required kernels cannot run.
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


def resolve_source(source: str | None) -> str | None:
    """Return the absolute path of a file, folder or glob; a named source is unchanged."""
    if source is not None and source.startswith("soma:"):
        address, mark, query = source.removeprefix("soma:").partition("?")
        here = resolve_source(address) if "/" in address or Path(address).exists() else address
        return f"soma:{here}{mark}{query}"
    if source is None or ":" in source.split("/")[0]:
        return source
    return str(Path.cwd() / source)


def resolve_names(given: str) -> str:
    """Return comma-separated names unchanged, a file of names as its absolute path."""
    return str(resolve_source(given)) if Path(given).is_file() else given


def contradiction(found: str, expected: str, mend: str) -> UserError:
    """Return the error for contradicting options (rule `options`)."""
    return UserError("options", found=found, expected=expected, mend=mend)
