"""`scm compare`: what differs between two runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sc_mamba2.runs.records import RunRecord


def compare(
    first: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run id, the beginning of one, or latest; or OUT.scm."
        ),
    ],
    second: Annotated[str, typer.Argument(metavar="RUN", help="The other.")],
) -> None:
    """Show what differs between two runs: parameters, data, code, scores.

    scm compare RUN latest

    scm compare OUT1.scm OUT2.scm
    """
    from sc_mamba2.commands.results import print_brief
    from sc_mamba2.commands.run_tables import show_comparison
    from sc_mamba2.runs.compare import compare_runs

    comparison = compare_runs(_record(first), _record(second))
    if not print_brief(comparison.model_dump(mode="json"), comparison.differing()):
        show_comparison(comparison)


def _record(name: str) -> "RunRecord":
    """Read the record of a run of this project, or of a verb's results folder."""
    from sc_mamba2.runs.project import find_project
    from sc_mamba2.runs.records import FOLDER_SUFFIX, find_run, read_record

    if Path(name).suffix == FOLDER_SUFFIX:
        return read_record(Path(name))
    return find_run(find_project(Path.cwd()), name)
