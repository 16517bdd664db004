"""What a run shows at its end: a table of metrics and where the files are."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

SCORES = ("accuracy", "balanced_accuracy", "macro_precision", "macro_f1")


def show_results(metrics: Path, places: dict[str, Path]) -> None:
    """Print the metrics table of ``metrics.json`` and the places of the results."""
    console = Console()
    if metrics.is_file():
        console.print(_table(json.loads(metrics.read_text(encoding="utf-8"))))
    for name, path in places.items():
        console.print(f"{name + ':':<9}{path}", soft_wrap=True, highlight=False, markup=False)


def _table(metrics: dict) -> Table:
    table = Table(
        "method", *(score.replace("_", " ") for score in SCORES), title="held against the truth"
    )
    rows = {"model (all paths)": metrics["model"]}
    rows |= {f"baseline: {name}": scores for name, scores in metrics["baselines"].items()}
    rows |= {f"ablation: {name}": scores for name, scores in metrics["ablations"].items()}
    for name, scores in rows.items():
        table.add_row(
            name, *(f"{scores[score]:.3f}" if score in scores else "–" for score in SCORES)
        )
    return table
