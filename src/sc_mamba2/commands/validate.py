"""`scm validate`: is a file of cells good, and what would be read from it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sc_mamba2.commands.errors import WRONG_USE, told_once
from sc_mamba2.commands.options import Layer
from sc_mamba2.errors import UserError


def validate(
    source: Annotated[
        str, typer.Argument(metavar="FILE", help="A file of cells, or a named source of cells.")
    ],
    label_key: Annotated[
        str | None, typer.Option("--label-key", "-k", help="Check this column of labels too.")
    ] = None,
    layer: Layer = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check a file of cells: what would be read and dropped?

    scm validate FILE --label-key KEY

    Exit code 0: good. Exit code 2: refused, with the rule, what was found, what
    was expected and how to mend it.
    """
    with told_once():
        from sc_mamba2.pipelines.validation.check import check_source
        from sc_mamba2.versions.names import with_paths

        try:
            report = check_source(with_paths(source, Path.cwd()), layer, label_key)
        except UserError as error:
            if not as_json:
                raise
            fault = {name: getattr(error, name) for name in ("rule", "found", "expected", "mend")}
            typer.echo(json.dumps({"source": source, "valid": False, "error": fault}, indent=1))
            raise typer.Exit(WRONG_USE) from error
        if as_json:
            typer.echo(json.dumps({"source": source, "valid": True, **report}, indent=1))
            return
        _show(source, report)


def _show(source: str, report: dict) -> None:
    genes = report["genes"]
    lines = {
        "file": source,
        "cells": f"{report['cells']:,}, median of {report['genes_a_cell']['median']:.0f} genes a cell",
        "expression": f"{report['expression']['origin']} ({report['expression']['kind']})",
        "genes": f"{genes['matched']:,} of {genes['total']:,} known ({genes['matched_by_id']:,} by id, "
        f"{genes['matched_by_symbol']:,} by symbol, {genes['matched_by_alias']:,} by alias)",
        "columns": ", ".join(report["columns"]) or "none",
    }
    if report.get("labels"):
        lines["labels"] = ", ".join(
            f"{name} ({count:,})" for name, count in report["labels"].items()
        )
    for name, text in lines.items():
        typer.echo(f"{name + ':':<12}{text}")
    for remark in report["remarks"]:
        typer.echo(f"{'remark:':<12}{remark['remark']} [{remark['rule']}]")
    typer.secho("valid", fg="green", bold=True)
