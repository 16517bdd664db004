"""Annotation beside its baselines and ablations, over several seeds: held-out cells, other studies.

    python benchmarks/annotation.py [--rows held-out across] [--seeds 0 1 2] [--checkpoint FOLDER]

Each row and seed is one run of the project's own pipeline with the parameters of conf/base and those
of the row; the script only collects `metrics.json`. The rows across studies that use a checkpoint need one
that has not seen Kang's: `python benchmarks/checkpoints.py train scm-tiny FOLDER --hold-out kang2018_a
kang2018_b`.
Writes `results/annotation_<row>.json` and a Markdown table.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import describe_machine

from sc_mamba2.runs.logs import set_logging
from sc_mamba2.runs.selection import Selection, merge
from sc_mamba2.runs.session import run_in_folder
from sc_mamba2.tasks.annotation.evaluate import methods_and_views

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).parents[2] / "shared" / "data"
SCORES = ("accuracy", "macro_f1")
LABELS = {"annotation": {"labels": {"key": "cell_type_broad"}}}
PROTOTYPES = {"annotation": {"head": {"fit": "prototypes", "paths": ["pooled", "readout"]}}}
EVERY_PART = {
    "annotation": {
        "ablations": {"names": ["readout_alone", "pooled_alone", "trunk_alone", "trunk_frozen"]}
    }
}
NETWORK = {"annotation": {"head": {"fit": "network"}}}
ABLATIONS = {"annotation": {"ablations": {"names": ["pooled_alone", "trunk_alone"]}}}


def on_checkpoint(folder: str) -> dict[str, Any]:
    """Return the parameters of a run that starts from a checkpoint, all of its genes read."""
    tokenization = {"vocabulary": folder, "variable_genes": None}
    return {"tokenization": tokenization, "annotation": {"backbone": {"checkpoint": folder}}}


def between(reference: str, query: str) -> dict[str, Any]:
    """Return the parameters of a run that annotates the cells of one study by those of another."""
    return {"input": f"{SHARED / reference}.h5ad", "query": f"{SHARED / query}.h5ad"}


def rows(checkpoint: str | None) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return the pipeline and the parameters of every row that can run."""
    linear = {"annotation": {"head": {"fit": "linear"}}}
    tiny_prototypes = {"annotation": {"head": {"fit": "prototypes"}}}
    zheng_to_kang = merge(between("zheng_facs_pbmc", "kang_ifnb_pbmc"), LABELS)
    found = {
        "held-out": ("annotation", merge(NETWORK, EVERY_PART)),
        "held-out, consensus": ("annotation", {}),
        "held-out, scm-tiny": (
            "annotation",
            merge(merge(on_checkpoint("scm-tiny"), linear), EVERY_PART),
        ),
        "held-out, prototypes": (
            "annotation",
            merge(merge(on_checkpoint("scm-tiny"), tiny_prototypes), EVERY_PART),
        ),
        "across": ("annotation_query", merge(zheng_to_kang, merge(NETWORK, EVERY_PART))),
    }
    if checkpoint is not None:
        unseen = merge(on_checkpoint(checkpoint), LABELS)
        mould = merge(merge(unseen, PROTOTYPES), ABLATIONS)
        with_trunk = {"annotation": {"head": {"paths": ["trunk", "pooled", "readout"]}}}
        found["across, prototypes"] = ("annotation_query", merge(mould, zheng_to_kang))
        found["across, prototypes and trunk"] = (
            "annotation_query",
            merge(merge(mould, zheng_to_kang), with_trunk),
        )
        for other in ("mudan_sorted_pbmc_reference", "zheng_facs_pbmc"):
            found[f"across, Kang to {other.split('_')[0]}"] = (
                "annotation_query",
                merge(mould, between("kang_ifnb_pbmc", other)),
            )
    return found


def run_row(pipeline: str, params: dict[str, Any], seed: int) -> dict[str, Any]:
    """Run one row with one seed; return its scores by method, and the seconds that it took."""
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
    name = "annotation_" + row.replace(", ", "_").replace("-", "_").replace(" ", "_")
    record = {"row": row, "machine": describe_machine(), "runs": runs}
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(markdown(row, runs))


def main() -> None:
    """Run the rows asked for; skip, with a reason, those whose data is absent."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", default=["held-out", "across"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--checkpoint", default=None)
    chosen = parser.parse_args()
    set_logging(verbose=False)
    run_rows(chosen.rows, chosen.seeds, chosen.checkpoint)


def run_rows(names: list[str], seeds: list[int], checkpoint: str | None) -> None:
    """Run rows by name over seeds and write their tables; say why a row cannot run here."""
    known = rows(checkpoint)
    for row in names:
        if row.startswith("across") and not SHARED.is_dir():
            print(f"skipped {row}: no folder {SHARED.name} beside the project")
            continue
        if row not in known:
            print(f"skipped {row}: one of {', '.join(known)}; some need --checkpoint")
            continue
        runs = []
        for seed in seeds:
            runs.append(run_row(*known[row], seed))
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
