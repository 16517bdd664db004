"""`scm runs`: the runs of this project, with their inputs and scores."""

from pathlib import Path
from typing import Annotated

import typer


def runs(
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", "-p", help="Only the runs of this task.")
    ] = None,
    last: Annotated[int, typer.Option(help="How many of the newest; 0: all.", min=0)] = 10,
) -> None:
    """List the runs of this project, the newest first.

    Each with its state, first scores, parameters that differ from the
    defaults, data and code.
    """
    from sc_mamba2.commands.results import print_brief
    from sc_mamba2.commands.run_tables import show_runs
    from sc_mamba2.runs.project import find_project
    from sc_mamba2.runs.records import list_runs

    every = list_runs(find_project(Path.cwd()))
    chosen = [run for run in every if pipeline in (None, run.task)]
    shown = chosen[: last or None]
    facts = [run.model_dump(mode="json") for run in shown]
    if print_brief(facts, [run.run_id for run in shown]):
        return
    if shown:
        show_runs(shown)
    if hidden := len(chosen) - len(shown):
        typer.echo(f"{hidden} older: add --last 0")
    if every and not chosen:
        tasks = ", ".join(sorted({run.task for run in every}))
        typer.echo(f"no runs of '{pipeline}'; there are runs of {tasks}")
    elif not chosen:
        typer.echo("no runs yet: scm run --pipeline annotation --env test")
