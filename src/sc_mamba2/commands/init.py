"""`scm init`: a new project."""

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[
        Path, typer.Argument(help="An empty folder, or one that does not exist yet.")
    ],
) -> None:
    """Start a project of your own: configuration, layers of data, a notebook.

    In it `scm run`, `scm runs`, `scm compare`, `scm rerun` and `scm viz`
    work as in a clone.
    """
    from sc_mamba2.commands.results import show_facts
    from sc_mamba2.runs.new_project import new_project

    project = new_project(folder)
    first = f"cd '{folder}' && scm run --pipeline annotation --env test"
    hints = [first, "README.md there says how to bring your own cells"]
    show_facts({"project": str(project)}, {"project": project, "next": hints}, 9, places=[project])
