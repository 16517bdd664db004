"""Quality of annotation beside its baselines and ablations, over several seeds.

    python benchmarks/quality.py [--rows held-out across] [--seeds 0 1 2]

Each row and seed is one run of the project's own pipeline with the parameters of conf/base; the
script only collects `metrics.json`. Writes `results/annotation_<row>.json` and a Markdown table.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

from sc_mamba2.pipelines.annotation.evaluate import methods_and_views
from sc_mamba2.runs.logs import set_logging
from sc_mamba2.runs.selection import Selection, merge
from sc_mamba2.runs.session import run_in_folder

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).parents[2] / "shared" / "data"
SCORES = ("accuracy", "macro_f1")
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "held-out": ("annotation", {}),
    "held-out, scm-tiny": (
        "annotation",
        {
            "tokenization": {"vocabulary": "scm-tiny", "variable_genes": None},
            "annotation": {"backbone": {"checkpoint": "scm-tiny"}, "head": {"fit": "linear"}},
        },
    ),
    "across": (
        "annotation_query",
        {
            "input": str(SHARED / "zheng_facs_pbmc.h5ad"),
            "query": str(SHARED / "kang_ifnb_pbmc.h5ad"),
            "annotation": {"labels": {"key": "cell_type_broad"}},
        },
    ),
}


def run_row(row: str, seed: int) -> dict[str, Any]:
    """Run one row with one seed; return its scores by method, and the seconds that it took."""
    pipeline, params = ROWS[row]
    params = merge(params, {"compute": {"seed": seed}})
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        finished = run_in_folder(Selection(pipelines=(pipeline,), params=params), Path(folder))
        metrics = json.loads(finished.written["annotation.metrics"].read_text())
    methods = methods_and_views(metrics)
    known = metrics["data"]["known_share"]
    seconds = round(time.perf_counter() - started)
    return {"seed": seed, "seconds": seconds, "known_share": known, "methods": methods}


def markdown(row: str, runs: list[dict[str, Any]]) -> str:
    """Return a table: a method a line, mean and standard deviation over the seeds."""
    lines = [
        f"### annotation, {row}: {len(runs)} seeds, mean ± standard deviation\n",
        "| method | accuracy | macro F1 |",
        "|---|---|---|",
    ]
    for method in runs[0]["methods"]:
        columns = []
        for score in SCORES:
            values = [run["methods"].get(method, {}).get(score, np.nan) for run in runs]
            columns.append(f"{np.mean(values):.3f} ± {np.std(values):.3f}")
        lines.append(f"| {method} | {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def keep(row: str, runs: list[dict[str, Any]]) -> None:
    """Write what has run so far; a benchmark that is cut off loses nothing."""
    RESULTS.mkdir(exist_ok=True)
    name = "annotation_" + row.replace(", ", "_").replace("-", "_")
    record = {"row": row, "machine": describe_machine(), "runs": runs}
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(markdown(row, runs))


def main() -> None:
    """Run the rows asked for; skip, with a reason, those whose data is absent."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    chosen = parser.parse_args()
    set_logging(verbose=False)
    for row in chosen.rows:
        if row == "across" and not SHARED.is_dir():
            print(f"skipped {row}: no folder {SHARED.name} beside the project")
            continue
        runs = []
        for seed in chosen.seeds:
            runs.append(run_row(row, seed))
            scores = {
                m: round(s["accuracy"], 3)
                for m, s in runs[-1]["methods"].items()
                if "accuracy" in s
            }
            print(f"{row}, seed {seed}, {runs[-1]['seconds']} s: {scores}", flush=True)
            keep(row, runs)
        print(markdown(row, runs))


if __name__ == "__main__":
    main()
