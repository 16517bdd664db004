"""Nats a held-out molecule: `scm denoise` beside simple methods, on studies of ../shared/data.

python benchmarks/denoising.py [--studies kang malt pancreas] [--seeds 0 1 2] [--checkpoint FOLDER --name bag]

Each seed splits the molecules anew. Writes results/denoising.json and .md, or denoising_NAME of another
checkpoint, such as one without Mamba2 layers.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
from machine import describe_machine

from sc_mamba2.reporting import scores_by_method
from sc_mamba2.tasks.denoising.choose import choose, judge
from sc_mamba2.tasks.denoising.evaluate import score
from sc_mamba2.tasks.denoising.genes import prepare
from sc_mamba2.tasks.denoising.imputed import impute
from sc_mamba2.tasks.denoising.params import DenoisingParams, PriorParams
from sc_mamba2.tasks.denoising.predict import denoise
from sc_mamba2.tasks.shared.params import IngestionParams, ValidationParams
from sc_mamba2.tasks.shared.validation import ingest_and_validate
from sc_mamba2.training import ComputeOptions

SHARED = Path(__file__).parents[2] / "shared" / "data"
RESULTS = Path(__file__).parent / "results"
STUDIES = {
    "kang": "kang_ifnb_pbmc.h5ad",
    "malt": "malt_cite_rna.h5ad",
    "pancreas": "pancreas_panc8_1000x1000.h5ad",
}


def run_study(study: str, seed: int, checkpoint: str) -> dict[str, Any]:
    """Return metrics of a study, and seconds for a thousand of its cells."""
    ingestion, compute = IngestionParams(), ComputeOptions(seed=seed)
    raw = ad.read_h5ad(SHARED / STUDIES[study])
    valid, report = ingest_and_validate(raw, ingestion, ValidationParams())
    params = DenoisingParams(priors=PriorParams(checkpoint=checkpoint))
    started = time.perf_counter()
    counts, genes, written = prepare(raw, valid, params.output, params.priors, ingestion)
    choices = choose(counts, genes, params.split, params.priors, params.output, compute)
    chosen = time.perf_counter()
    judged = judge(counts, genes, choices, params.split, params.priors, params.output, compute)
    scored = time.perf_counter()
    denoise(counts, genes, written, choices, params.priors, params.output, compute)
    seconds = {
        "choose": chosen - started,
        "judge": scored - chosen,
        "denoise_1000_cells": (time.perf_counter() - scored) * 1000 / valid.n_obs,
    }
    none = impute(counts, genes, params.output, params.priors, ingestion, compute)
    metrics = score(judged, choices, none, params.priors, report, {})
    del metrics["data"]["reference"]
    return metrics | {"seconds": {name: round(value, 1) for name, value in seconds.items()}}


def markdown(studies: dict[str, list[dict[str, Any]]]) -> str:
    """Return a table: a method a line, mean and standard deviation over the seeds."""
    runs = {name: [by_name(one) for one in found] for name, found in studies.items()}
    methods = list(next(iter(runs.values()))[0])
    lines = [f"| nats a held-out molecule | {' | '.join(runs)} |", "|---" * (len(runs) + 1) + "|"]
    for method in methods:
        values = [[one[method] for one in found] for found in runs.values()]
        shown = [f"{np.mean(some):.3f} ± {np.std(some):.3f}" for some in values]
        lines.append(f"| {method.replace('_', ' ')} | {' | '.join(shown)} |")
    chosen = [
        ", ".join(f"{k} {v}" for k, v in found[0]["data"]["chosen"].items())
        for found in studies.values()
    ]
    lines.append(f"| chosen, first seed | {' | '.join(chosen).replace('_', ' ')} |")
    for what in next(iter(studies.values()))[0]["seconds"]:
        times = [
            f"{np.mean([one['seconds'][what] for one in found]):.0f} s"
            for found in studies.values()
        ]
        lines.append(f"| time: {what.replace('_', ' ')} | {' | '.join(times)} |")
    return "\n".join(lines) + "\n"


def by_name(metrics: dict[str, Any]) -> dict[str, float]:
    """Return nats by method; the chosen one once more under the name of its prior."""
    methods = scores_by_method(metrics)
    named = {name.partition(": ")[2] or "denoised": one["nats"] for name, one in methods.items()}
    own = f"{metrics['data']['chosen']['prior']}, posterior"
    order = ("denoised", "gene_means", "own_counts", "neighbours", "svd", "pretrained")
    posteriors = [
        f"{name}, posterior" for name in ("gene_means", "neighbours", "svd", "pretrained")
    ]
    full = named | {own: named["denoised"]}
    return {name: full[name] for name in (*order, *posteriors)}


def main() -> None:
    """Run the studies asked for, or say why they cannot run here."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--checkpoint", default=PriorParams().checkpoint)
    parser.add_argument("--name", help="of the checkpoint, in the names of the results")
    chosen = parser.parse_args()
    if not SHARED.is_dir():
        print("skipped: no data sets in ../shared/data beside the project")
        return
    found = {
        study: [run_study(study, seed, chosen.checkpoint) for seed in chosen.seeds]
        for study in chosen.studies
    }
    record = {"machine": describe_machine(), "seeds": chosen.seeds, "studies": found}
    path = RESULTS / ("_".join(filter(None, ["denoising", chosen.name])))
    path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown(found))
    print(markdown(found))


if __name__ == "__main__":
    main()
