"""`scm validate`: check a file of cells, and show what would be read from it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sc_mamba2.tasks.shared.row import READING


def validate(
    source: Annotated[
        str, typer.Argument(metavar="FILE", help="A file of cells, or a named source of cells.")
    ],
    label_key: Annotated[
        str | None, typer.Option("--label-key", "-k", help="Also check this column of labels.")
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            help="Layer with the expression; default: the first usable matrix.",
            rich_help_panel=READING,
        ),
    ] = None,
    holds: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="What its values are: counts, normalised or log_normalised (log1p of 10,000 per cell); "
            "else their structure says it.",
            rich_help_panel=READING,
        ),
    ] = None,
    species: Annotated[
        str | None,
        typer.Option(
            help="human (default), or mouse: genes are mapped to their human orthologues.",
            rich_help_panel=READING,
        ),
    ] = None,
) -> None:
    """Check a file of cells: what would be read and dropped?

    scm validate FILE --label-key KEY

    Exit code 0: good. Exit code 2: refused, with the rule, what was found, what
    was expected and how to mend it.
    """
    from sc_mamba2.commands.results import show_facts
    from sc_mamba2.runs.preflight import check_cells
    from sc_mamba2.tasks.shared.parameters import validated
    from sc_mamba2.tasks.shared.params import IngestionParams
    from sc_mamba2.versions.names import with_paths

    place = with_paths(source, Path.cwd())
    check_cells([place], {label_key: "label_key"} if label_key else {}, layer)
    given = {"layer": layer, "holds": holds, "species": species}
    named = {name: value for name, value in given.items() if value is not None}
    ingestion = validated("ingestion", IngestionParams, named)
    from sc_mamba2.tasks.shared.check import check_source

    report = check_source(place, ingestion, label_key)
    facts = {"source": source, "valid": True, **report}
    show_facts(facts, _lines(source, report), 12)


def _lines(source: str, report: dict[str, Any]) -> dict[str, Any]:
    genes, expression = report["genes"], report["expression"]
    lines: dict[str, Any] = {
        "file": source,
        "cells": f"{report['cells']:,}, median of {report['genes_a_cell']['median']:.0f} genes a cell",
        "expression": f"{expression['origin']} ({expression['kind']})",
        "genes": f"{genes['matched']:,} of {genes['total']:,} known ({genes['matched_by_id']:,} by id, "
        f"{genes['matched_by_symbol']:,} by symbol, {genes['matched_by_alias']:,} by alias)",
        "columns": ", ".join(report["columns"]) or "none",
    }
    if labels := report.get("labels"):
        lines["labels"] = ", ".join(f"{name} ({count:,})" for name, count in labels.items())
    remarks = [f"{remark['remark']} [{remark['rule']}]" for remark in report["remarks"]]
    return lines | {"remark": remarks, "valid": "yes"}
