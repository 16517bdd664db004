"""Are cells of a type that the reference lacks noticed? One type at a time is left out of training.

    python benchmarks/unseen.py [--types NAME …] [--seed 0] [--epochs 30]

The cells are `scanpy:pbmc68k_reduced`: a fifth is held out and predicted, the left-out type's cells
with it. Writes `results/unseen.json` and prints a Markdown table. Each line is one run of the
project's own pipeline.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData
from machine import describe_machine

from sc_mamba2.cells import read_cells
from sc_mamba2.runs.logs import set_logging
from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import run_in_folder
from sc_mamba2.tasks.annotation.split import stratified_split

RESULTS = Path(__file__).parent / "results"
KEY = "bulk_labels"
TYPES = ("CD19+ B", "CD14+ Monocyte", "CD56+ NK", "CD8+ Cytotoxic T")


def split(cells: AnnData, left_out: str, seed: int) -> tuple[AnnData, AnnData]:
    """Hold out a fifth; the reference loses the left-out type, the query keeps it."""
    labels = cells.obs[KEY].astype(str).to_numpy()
    first, second = stratified_split(labels, 0.2, seed)
    return cells[first[labels[first] != left_out]].copy(), cells[second].copy()


def run(left_out: str, seed: int, epochs: int) -> dict[str, Any]:
    """Train without one type; return how well its cells are told from the others."""
    reference, query = split(read_cells("scanpy:pbmc68k_reduced"), left_out, seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference.write_h5ad(folder / "reference.h5ad")
        query.write_h5ad(folder / "query.h5ad")
        params = {
            "input": str(folder / "reference.h5ad"),
            "query": str(folder / "query.h5ad"),
            "annotation": {
                "labels": {"key": KEY},
                "head": {"fit": "network"},
                "fine_tune": {"max_epochs": epochs},
                "ablations": {"names": []},
            },
            "compute": {"seed": seed},
        }
        selection = Selection(pipelines=("annotation_query",), params=params)
        finished = run_in_folder(selection, folder / "run")
        metrics = json.loads(finished.written["annotation.metrics"].read_text())
    unseen = int((query.obs[KEY] == left_out).sum())
    return {"left_out": left_out, "cells": unseen, **metrics["model"], **_renamed(metrics)}


def _renamed(metrics: dict[str, Any]) -> dict[str, float]:
    names = ("unseen_recall", "known_unassigned_share", "open_set_accuracy")
    assigned = metrics["views"]["assigned"]
    return {name: assigned[name] for name in names} | {
        "assigned_accuracy": assigned.get("accuracy", float("nan"))
    }


def markdown(runs: list[dict[str, Any]]) -> str:
    """Return a table, a left-out type a line, with the mean."""
    columns = {
        "AUROC": "unseen_auroc",
        "AUROC by energy": "unseen_auroc_energy",
        "of them unassigned": "unseen_recall",
        "of the others unassigned": "known_unassigned_share",
        "accuracy": "accuracy",
        "accuracy of the assigned": "assigned_accuracy",
    }
    lines = [f"| left out (cells) | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for run_ in runs:
        values = " | ".join(f"{run_[name]:.3f}" for name in columns.values())
        lines.append(f"| {run_['left_out']} ({run_['cells']}) | {values} |")
    means = " | ".join(f"{np.mean([r[name] for r in runs]):.3f}" for name in columns.values())
    return "\n".join([*lines, f"| mean | {means} |"]) + "\n"


def main() -> None:
    """Leave out the types asked for, one after another."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--types", nargs="+", default=list(TYPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30)
    chosen = parser.parse_args()
    set_logging(verbose=False)
    RESULTS.mkdir(exist_ok=True)
    runs: list[dict[str, Any]] = []
    for left_out in chosen.types:
        runs.append(run(left_out, chosen.seed, chosen.epochs))
        record = {"machine": describe_machine(), "seed": chosen.seed, "runs": runs}
        (RESULTS / "unseen.json").write_text(json.dumps(record, indent=1) + "\n")
    print(markdown(runs))


if __name__ == "__main__":
    main()
