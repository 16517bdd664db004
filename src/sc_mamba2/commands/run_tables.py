"""Tables of runs, and of the differences between two, for a terminal of 80 columns."""

from datetime import UTC
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sc_mamba2.runs.selection import as_text
from sc_mamba2.tasks.shared.messages import duration

if TYPE_CHECKING:
    from sc_mamba2.runs.compare import Comparison, ScoreChange
    from sc_mamba2.runs.records import Listed, RunRecord

_COLOURS = {"finished": "green", "running": "cyan", "failed": "red", "damaged": "red"}
_HEADLINES = 3


def show_runs(runs: "list[Listed]") -> None:
    """Print a table of runs, one row each."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, leading=1)
    table.add_column("run", no_wrap=True)
    table.add_column("what", overflow="fold")
    for run in runs:
        left = Text(f"{run.run_id}\n{run.task}\n")
        left.append(run.state, style=_COLOURS.get(run.state, "yellow"))
        if run.record is None:
            table.add_row(left, Text(str(run.reason)))
            continue
        left.append(_time(run.record))
        table.add_row(left, Text("\n").join(_lines(run.record)))
    Console(highlight=False).print(table)  # rich itself respects NO_COLOR and pipes


def _lines(record: "RunRecord") -> list[Text]:
    changed = {name: record.parameters.get(name) for name in record.defaults}
    lines = {
        "error": record.error or "",
        "scores": ", ".join(f"{name} {value:.3f}" for name, value in _headlines(record).items()),
        "parameters": ", ".join(f"{k}={as_text(v)}" for k, v in changed.items()),
        "data": ", ".join(_data(fact.model_dump()) for fact in record.data.values()),
        "code": record.code.name(),
        "repeats": record.repeats or "",
    }
    return [Text.assemble((f"{name} ", "bold"), text) for name, text in lines.items() if text]


def _headlines(record: "RunRecord") -> dict[str, float]:
    """Return the first scores of each task's model, since ``metrics.json`` lists the main ones first."""
    first: dict[str, float] = {}
    for task, scores in record.scores.items():
        own = [name for name in scores if name.startswith("model.") and scores[name] is not None]
        for name in own[:_HEADLINES]:
            word = name.removeprefix("model.").replace("_", " ")
            first[word if len(record.scores) == 1 else f"{task} {word}"] = float(scores[name] or 0)
    return first


def show_comparison(comparison: "Comparison") -> None:
    """Print the differences between two runs, one section per kind, and what is equal in one line."""
    out = Console(highlight=False)
    out.print(f"A  {comparison.first}\nB  {comparison.second}")
    sections = {name: getattr(comparison, name) for name in ("parameters", "data", "code")}
    for title, changes in sections.items():
        if changes:
            rows = [[c.name, _cell(c.first), _cell(c.second)] for c in changes]
            out.print(_table([title, "A", "B"], rows))
    if comparison.scores:
        out.print(_table(["scores", "A", "B", "B - A"], list(map(_score_row, comparison.scores))))
    if equal := [name for name, changes in sections.items() if not changes]:
        out.print(f"equal: {', '.join(equal)}")
    out.print(f"equal scores: {comparison.equal_scores}")


def _table(head: list[str], rows: list[list[str]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for at, name in enumerate(head):
        right = head[-1] == "B - A" and at > 0
        table.add_column(name, overflow="fold", justify="right" if right else "left", no_wrap=right)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _score_row(change: "ScoreChange") -> list[str]:
    numbers = [change.first, change.second]
    shown = ["–" if number is None else f"{number:.4f}" for number in numbers]
    gap = "–" if change.difference is None else f"{change.difference:+.4f}"
    if change.difference and abs(change.difference) < 0.00005:
        gap = f"{change.difference:+.0e}"
    return [change.name, *shown, gap]


def _cell(value: Any) -> str:
    if isinstance(value, dict) and "sources" in value:
        return _data(value)
    return "–" if value is None else as_text(value)


def _data(fact: dict[str, Any]) -> str:
    at, sha256 = ", ".join(fact["sources"]), fact["sha256"]
    return f"{at} ({sha256[:8]})" if sha256 else at


def _time(record: "RunRecord") -> str:
    if record.seconds is None:
        return f", since {record.started.astimezone(UTC):%H:%M} UTC"
    return f", {duration(record.seconds)}"
