"""What a run shows at its end: a table of metrics and where the files are."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sc_mamba2.reporting import scores_by_method

SCORES = {
    "accuracy": "accuracy",
    "balanced": "balanced_accuracy",
    "precision": "macro_precision",
    "macro F1": "macro_f1",
}

# What is shown where there are more scores and more methods than a terminal has room for.
_KINDS = ("rna", "protein", "atac")
TELLING = ("avg_bio", "batch_mixing", *(f"pearson_{kind}" for kind in _KINDS), "foscttm")

_MOST_COLUMNS = 6


def show_results(metrics: Path, places: dict[str, Path]) -> None:
    """Print the metrics table of ``metrics.json`` and the places of the results."""
    console = Console()
    if metrics.is_file():
        found = json.loads(metrics.read_text(encoding="utf-8"))
        if found["model"]:
            console.print(_table(found))
    for name, path in places.items():
        console.print(f"{name + ':':<11}{path}", soft_wrap=True, highlight=False, markup=False)


def _table(metrics: dict) -> Table:
    """Lay out the model and what stands beside it; a task without accuracy shows all its scores.

    Of many scores of many methods those that tell most are shown, else the first.
    """
    columns = SCORES
    methods = scores_by_method(metrics)
    if "accuracy" not in metrics["model"]:
        columns = {name.replace("_", " "): name for name in metrics["model"]}
    if len(methods) > _MOST_COLUMNS < len(columns):
        telling = {shown: name for shown, name in columns.items() if name.startswith(TELLING)}
        columns = dict(list((telling or columns).items())[:_MOST_COLUMNS])
    cells = [
        [name, *(_shown(scores.get(score)) for score in columns.values())]
        for name, scores in methods.items()
    ]
    head = ["method", *columns]
    if len(columns) > _MOST_COLUMNS:  # a line a score: a terminal is longer than it is wide
        head, *cells = (list(line) for line in zip(head, *cells, strict=True))
        head[0] = "score"
    table = Table(title="scored on the same cells")
    table.add_column(head[0], no_wrap=True)
    for name in head[1:]:
        table.add_column(name, justify="right")
    for line in cells:
        table.add_row(*line)
    return table


def _shown(score: float | None) -> str:
    return "–" if score is None else f"{score:.3f}"
