"""`scm viz`: the graph of the project's pipelines in a browser, or as a static site."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from sc_mamba2.commands.errors import told_once
from sc_mamba2.errors import UserError


def viz(
    build: Annotated[
        bool, typer.Option("--build", help="Write a static site to build/ instead.")
    ] = False,
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", "-p", help="Show this pipeline only.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the local server.")] = 4141,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open a browser.")
    ] = False,
) -> None:
    """Show the pipelines with Kedro-Viz."""
    with told_once():
        from importlib.util import find_spec

        from sc_mamba2.runs.session import find_project

        if find_spec("kedro_viz") is None:
            raise UserError(
                "viz-missing",
                found="kedro-viz is not installed",
                expected="the extra `viz`",
                mend="pip install -c constraints-py311.txt -e '.[viz]'",
            )
        if build and pipeline:
            raise UserError(
                "options",
                found="--build and --pipeline",
                expected="one of the two: the static site holds every pipeline",
                mend="leave --pipeline out and choose in the site",
            )
        project = find_project(Path.cwd())
        words = [sys.executable, "-m", "kedro", "viz"]
        if build:
            words += ["build", "--include-hooks"]
        else:
            words += ["run", f"--port={port}", *(["--no-browser"] if no_browser else [])]
            words += [f"--pipeline={pipeline}"] if pipeline else []
        raise typer.Exit(subprocess.run(words, cwd=project, check=False).returncode)
