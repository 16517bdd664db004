"""`scm explore`: the cells of a result in the browser, served on this machine only."""

from pathlib import Path
from typing import Annotated

import typer


def explore(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A result, or any cells, as .h5ad.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to write selections; default: FILE.explored.h5ad, next to FILE.",
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="Key of obsm to show, laid out by UMAP if it has more than two columns; default: all with two.",
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(help="Port of the local server; 0: any free port.", min=0, max=65535)
    ] = 0,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Do not open a browser.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing output, or FILE itself.")
    ] = False,
) -> None:
    """Look at cells in the browser: colour, select, write selections.

    scm explore OUT.h5ad

    A map of the cells, coloured by any column, expert or gene. What is selected
    is shown as a table, and written as a column of obs to a copy of the file.
    The page comes from this machine alone and fetches nothing; Ctrl-C ends it.
    """
    import webbrowser

    from rich.console import Console

    from sc_mamba2.cells.source_check import check_exists, missing_file
    from sc_mamba2.commands.mode import mode
    from sc_mamba2.commands.results import show_facts

    if check_exists(str(source)) is None:
        raise missing_file(source, found=f"'{source}' is a name, not a file")
    output = output or source.with_suffix(".explored.h5ad")
    _check_output(source, output, force)
    from sc_mamba2.runs.explored import ExploredCells
    from sc_mamba2.runs.explorer import explorer

    console = Console(stderr=True, quiet=mode().quiet or mode().json)

    def load() -> ExploredCells:
        with console.status("reading the cells, and computing a layout if there is none"):
            return ExploredCells(source, output, layout, force)

    with explorer(port, load) as (server, cells, address):
        lines = {"explore": f"{address} (Ctrl-C ends it)", "writes to": output}
        facts = {"address": address, "cells": len(cells.obs), "output": str(output)}
        show_facts(facts, lines, 11, [address])
        if not no_browser:
            webbrowser.open(address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.print("ended")


def _check_output(source: Path, output: Path, force: bool) -> None:
    """Raise if the output is the file itself, has the wrong suffix, or its folder does not exist."""
    from sc_mamba2.errors import UserError
    from sc_mamba2.runs.verbs import check_place

    check_place(output.resolve(), ".h5ad")
    if output.resolve() == source.resolve() and not force:
        raise UserError(
            "output-is-input",
            found=f"'{output.name}' is both input and output",
            expected="an output that is not an input",
            mend="choose another --output, or add --force",
        )
