"""Batch correction beside its candidates, over several seeds.

    python benchmarks/batch_correction.py [--studies kang mixology pancreas onek1k] [--seeds 0 1 2] [--params a=b]

`--params batch_correction.head.fit=gradient` trains a model too, and scores the result with and without it.

Each study and seed is one run of the project's own pipeline with the parameters of conf/base; the
script only collects `metrics.json`. Labels are read by the scores alone; what was tried before the
defaults were fixed stands in `results/batch_correction_tried.md`. Writes
`results/batch_correction_<study>.json` and a Markdown table.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
from machine import describe_machine

from sc_mamba2.reporting import scores_by_method
from sc_mamba2.runs.logs import set_logging
from sc_mamba2.runs.selection import Selection, merge, parse_params
from sc_mamba2.runs.session import run_in_folder

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).parents[2] / "shared" / "data"
SCORES = ("overall", "avg_bio", "nmi", "ari", "asw_label", "asw_batch", "graph_connectivity")
SCORES += ("batch_mixing", "inner")
STUDIES = {
    "kang": "kang_ifnb_pbmc.h5ad",
    "mixology": "sc_mixology_celllines.h5ad",
    "pancreas": "pancreas_panc8_1000x1000.h5ad",
    "onek1k": "onek1k_40donors_1000genes.h5ad",
}
KEYS = {"batch_key": "batch", "label_key": "cell_type"}


def write_cells(study: str, folder: Path) -> Path:
    """Write the cells of a study with the genes that all of its batches measured."""
    cells = ad.read_h5ad(SHARED / STUDIES[study])
    if "n_batches_measured" in cells.var:
        measured = cells.var["n_batches_measured"]
        cells = cells[:, measured == cells.obs[KEYS["batch_key"]].nunique()].copy()
    path = folder / f"{study}.h5ad"
    cells.write_h5ad(path)
    return path


def run_study(study: str, seed: int, params: dict[str, Any]) -> dict[str, Any]:
    """Run one study with one seed; return its scores by method, and the seconds that it took."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        given = {"input": str(write_cells(study, Path(folder))), "compute": {"seed": seed}}
        given = merge(given | {"batch_correction": {"keys": KEYS}}, params)
        selection = Selection(pipelines=("batch_correction",), params=given)
        finished = run_in_folder(selection, Path(folder) / "run")
        metrics = json.loads(finished.written["batch_correction.metrics"].read_text())
    seconds = round(time.perf_counter() - started)
    methods = scores_by_method(metrics)
    for scores in methods.values():  # scIB's weights, the batch's silhouette for what is mixed
        scores["overall"] = 0.6 * scores["avg_bio"] + 0.4 * scores["asw_batch"]
    weights = metrics["data"]["weights"]
    return {"seed": seed, "seconds": seconds, "methods": methods, "weights": weights}


def markdown(study: str, runs: list[dict[str, Any]]) -> str:
    """Return a table: a method a line, mean and standard deviation over the seeds."""
    names = [score.replace("_", " ") for score in SCORES]
    lines = [
        f"### batch correction, {study}: {len(runs)} seeds, mean ± standard deviation\n",
        f"| method | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for method in runs[0]["methods"]:
        columns = []
        for score in SCORES:
            values = [run["methods"][method].get(score, np.nan) for run in runs]
            columns.append(f"{np.mean(values):.3f} ± {np.std(values):.3f}")
        lines.append(f"| {method} | {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def keep(study: str, runs: list[dict[str, Any]], params: dict[str, Any]) -> None:
    """Write what has run so far; a benchmark that is cut off loses nothing."""
    RESULTS.mkdir(exist_ok=True)
    record = {"study": study, "params": params, "machine": describe_machine(), "runs": runs}
    path = RESULTS / f"batch_correction_{study}"
    path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(study, runs))


def main() -> None:
    """Run the studies asked for, or say why they cannot run here."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--studies", nargs="+", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--params", nargs="+", default=[])
    chosen = parser.parse_args()
    set_logging(verbose=False)
    run_studies(chosen.studies, chosen.seeds, parse_params(chosen.params))


def run_studies(studies: list[str], seeds: list[int], params: dict[str, Any]) -> None:
    """Run studies over seeds and write their tables; say why, where there are none."""
    if not SHARED.is_dir():
        print(f"skipped: no folder {SHARED.name} beside the project")
        return
    for study in studies:
        runs = []
        for seed in seeds:
            runs.append(run_study(study, seed, params))
            scores = {
                method: round(found["overall"], 3) for method, found in runs[-1]["methods"].items()
            }
            print(f"{study}, seed {seed}, {runs[-1]['seconds']} s: {scores}", flush=True)
            keep(study, runs, params)
        print(markdown(study, runs))


if __name__ == "__main__":
    main()
