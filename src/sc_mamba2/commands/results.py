"""The final output of a verb: metrics and paths of results, or facts; as text or JSON."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sc_mamba2.commands.mode import mode

SCORES = {
    "accuracy": "accuracy",
    "balanced": "balanced_accuracy",
    "precision": "macro_precision",
    "macro F1": "macro_f1",
}
# The scores shown if there are more scores and methods than fit on a terminal.
MAIN = ("avg_bio", "batch_mixing", "pearson_rna", "pearson_protein", "pearson_atac", "foscttm")
QUIET = ("genes-dropped", "cells-poor", "counts-absent")  # remarks shown only in the report
_MAX_COLUMNS = 6


def show_results(metrics: Path, places: dict[str, Path]) -> None:
    """Show the metrics of ``metrics.json`` and the paths of the results.

    As JSON: ``outputs`` by name, ``metrics`` (null without any), the id of the ``run``, and the verdict in
    words, ``said``.
    """
    if mode().dry_run:  # the estimate is shown instead
        return
    taken: dict[str, Any] = {}
    if metrics.is_file():  # NaN is not JSON: null
        taken = json.loads(metrics.read_text(encoding="utf-8"), parse_constant=lambda _: None)
    facts = {
        "outputs": {name: str(path) for name, path in places.items()},
        "metrics": {name: taken[name] for name in ("model", "baselines", "ablations") if taken}
        or None,
        "run": taken.get("run", {}).get("run_id"),
    }
    if verdict := _verdict(taken):
        facts["said"] = verdict
    if print_brief(facts, places.values()):
        return
    if taken.get("model"):
        Console().print(_table(taken))
    read = taken.get("data", {})
    for role in ("", "reference", "query"):
        for remark in (read.get(role) or {} if role else read).get("remarks", []):
            if remark["rule"] not in QUIET:
                typer.echo(f"remark: {role}{': ' if role else ''}{remark['remark']}", err=True)
    for words in verdict:
        typer.echo(words)
    show_lines(places, max([11, *(len(name) + 2 for name in places)]))


def _verdict(metrics: dict[str, Any]) -> list[str]:
    """Return the verdict in words: comparison with the baselines, and alarms."""
    from sc_mamba2.reporting import baseline_sentences, remark_words

    if not metrics:
        return []
    return baseline_sentences(metrics) + remark_words(metrics.get("data", {}).get("alarms", ()))


def show_facts(
    facts: Any, lines: dict[str, Any], width: int, places: Iterable[object] = ()
) -> None:
    """Show `facts` as JSON, in quiet mode `places`, else `lines`."""
    if not print_brief(facts, places):
        show_lines(lines, width)


def print_brief(facts: Any, places: Iterable[object]) -> bool:
    """Print `facts` as JSON, or in quiet mode `places`, one per line; return False in the normal mode."""
    if mode().json:
        typer.echo(json.dumps(facts, indent=1, ensure_ascii=False))
    elif mode().quiet:
        for place in places:
            typer.echo(place)
    else:
        return False
    return True


def show_lines(lines: dict[str, Any], width: int) -> None:
    """Print one line per name; a list gets one line per entry, the first with the name."""
    for name, text in lines.items():
        for at, line in enumerate(text if isinstance(text, list) else [text]):
            typer.echo(f"{'' if at else name + ':':<{width}}{line}")


def show_table(head: Sequence[str], rows: Iterable[Sequence[str]], whole: Sequence[str]) -> None:
    """Print a table; the columns in `whole` are not wrapped."""
    table = Table(box=None, pad_edge=False)
    for name in head:
        table.add_column(name, overflow="fold", no_wrap=name in whole)
    for row in rows:
        table.add_row(*map(Text, row))  # not markup: brackets are literal
    Console(highlight=False).print(table)


def _table(metrics: dict[str, Any]) -> Table:
    """Return a table of all methods; a task without accuracy shows all its scores.

    With many scores and methods only the main scores are shown, or else the first.
    """
    from sc_mamba2.reporting import scores_by_method, shown_score

    columns, methods = SCORES, scores_by_method(metrics)
    if "accuracy" not in metrics["model"]:
        columns = {name.replace("_", " "): name for name in metrics["model"]}
    if len(methods) > _MAX_COLUMNS < len(columns):
        main = {shown: name for shown, name in columns.items() if name.startswith(MAIN)}
        columns = dict(list((main or columns).items())[:_MAX_COLUMNS])
    cells = [
        [name, *(shown_score(scores.get(score)) for score in columns.values())]
        for name, scores in methods.items()
    ]
    head = ["method", *columns]
    if len(columns) > _MAX_COLUMNS:  # one line per score: a terminal is longer than wide
        head, *cells = (list(line) for line in zip(head, *cells, strict=True))
        head[0] = "score"
    table = Table(title="scored on the same cells" if len(methods) > 1 else None)
    table.add_column(head[0], no_wrap=True)
    for name in head[1:]:
        table.add_column(name, justify="right")
    for line in cells:
        table.add_row(*line)
    return table
