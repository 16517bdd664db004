"""The final output of a verb: metrics and paths of results, or facts; as text or JSON."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.cells import cell_len
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
QUIET = ("genes-dropped", "cells-poor", "counts-absent")  # remarks shown only in the report


def show_results(metrics: Path, places: dict[str, Path]) -> None:
    """Show the metrics of ``metrics.json`` and the paths of the results.

    First the result in words. As JSON: ``outputs`` by name, ``metrics`` (null without any), the id of the
    ``run``, the ``summary`` and the verdict in words, ``said``.
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
    result, trust, _ = summary = taken.get("summary") or ("", "", "")
    if result:
        facts["summary"] = summary
    if verdict := _verdict(taken):
        facts["said"] = verdict
    if print_brief(facts, places.values()):
        return
    console = Console(highlight=False)
    if result:
        console.print(Text(f"{result} {trust}"))
    if any(not name.endswith("_share") for name in taken.get("model", ())):
        console.print(_table(taken, console))
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


def _table(metrics: dict[str, Any], console: Console) -> Table:
    """Return a table of all methods that fits the terminal, with every word whole.

    A task without accuracy shows all its scores, those of the verdict first. If they do not fit, each score is
    a line, and if the methods do not fit either, the last scores are left to the report.
    """
    from sc_mamba2.reporting import COMPARED, scores_by_method

    methods, columns = scores_by_method(metrics), SCORES
    if "accuracy" not in metrics["model"]:
        names = sorted(metrics["model"], key=lambda name: not name.startswith(COMPARED))
        columns = {name.replace("_", " "): name for name in names}
    for count in range(len(columns), 0, -1):
        table = _lay_out(methods, dict(list(columns.items())[:count]))
        if count == len(columns) and not _fits(table, console):
            turned = _lay_out(methods, columns, turned=True)
            table = turned if _fits(turned, console) else table
        if _fits(table, console):
            break
    if left := len(columns) - count:
        table.caption = f"{left} more score{'s' * (left > 1)} in the report"
    return table


def _fits(table: Table, console: Console) -> bool:
    widths = [column.width or 0 for column in table.columns]
    return sum(widths) + 3 * len(widths) + 1 <= console.width  # with borders and spaces


def _lay_out(
    methods: dict[str, dict[str, float]], columns: dict[str, str], turned: bool = False
) -> Table:
    """Return scores by method, or `turned`: methods by score. A method with none of them is left out."""
    from sc_mamba2.reporting import shown_score

    cells = [
        [name, *(shown_score(scores.get(score)) for score in columns.values())]
        for name, scores in methods.items()
        if any(scores.get(score) is not None for score in columns.values())
    ]
    head = ["method", *columns]
    if turned:
        head, *cells = (list(line) for line in zip(head, *cells, strict=True))
        head[0] = "score"
    table = Table(title="scored on the same cells" if len(cells) > 1 else None)
    for name, *column in zip(head, *cells, strict=True):
        # Rich would rather cut a word than wrap a heading.
        words = max(map(cell_len, (*name.split(), *column)))
        table.add_column(Text(name), justify="right" if table.columns else "left", width=words)
    for line in cells:
        table.add_row(*map(Text, line))  # not markup: brackets are literal
    return table
