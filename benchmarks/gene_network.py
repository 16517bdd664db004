"""Gene networks beside correlation, boosting and the untrained model, against known edges.

    python benchmarks/gene_network.py [--studies kang_ifnb_pbmc zheng_facs_pbmc] [--seeds 0 1 2]

Known edges: DoRothEA A to C of `../shared/data/resources`. A seed draws the cells that are looked at,
and the weights of the untrained model. The functions are those of the pipeline. Writes
`results/gene_network_STUDY.json` and a Markdown table.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
from machine import describe_machine

from sc_mamba2.cells import standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.gene_network.evaluate import evaluated_pairs, score_all
from sc_mamba2.tasks.gene_network.genes import prepare
from sc_mamba2.tasks.gene_network.params import (
    BaselineParams,
    GeneParams,
    ReferenceParams,
    ScoreParams,
)
from sc_mamba2.tasks.gene_network.scores import score_pairs
from sc_mamba2.tasks.shared.params import IngestionParams
from sc_mamba2.training import ComputeOptions

SHARED = Path(__file__).parents[2] / "shared" / "data"
DOROTHEA = SHARED / "resources" / "dorothea_hs.csv.gz"
RESULTS = Path(__file__).parent / "results"
STUDIES = ("kang_ifnb_pbmc", "zheng_facs_pbmc", "mudan_sorted_pbmc_reference")


def run_study(
    study: str, seed: int, boosting: bool, untrained: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Score a study's pairs; scores by method, and what they stand on."""
    cells, _ = standardise(ad.read_h5ad(SHARED / f"{study}.h5ad"), load_gene_table())
    scoring, compute = ScoreParams(), ComputeOptions(seed=seed)
    reference = ReferenceParams(reference_network=str(DOROTHEA))
    model, known_edges, choice = prepare(
        cells, scoring, reference, GeneParams(), IngestionParams(), compute
    )
    beside = BaselineParams(boosting=boosting, untrained=untrained)
    scores = score_pairs(cells, model, choice, scoring, beside, compute)
    found, facts = score_all(scores, known_edges, scoring.method)
    judged_RT, truth_RT = evaluated_pairs(scores, known_edges)
    for votes in range(scores.agreement_RT.max() + 1):
        truth = truth_RT[judged_RT & (scores.agreement_RT == votes)]
        share = truth.mean() / truth_RT[judged_RT].mean() if len(truth) else float("nan")
        facts[f"pairs_of_agreement_{votes}"] = len(truth)
        facts[f"known_share_over_chance_of_agreement_{votes}"] = round(float(share), 2)
    table = {f"model ({scoring.method})": found["model"]}
    table |= {f"model: {name}": part for name, part in found["ablations"].items()}
    table |= found["baselines"]
    return table, facts


def markdown(study: str, tables: list[dict[str, Any]], facts: dict[str, Any]) -> str:
    """Return a table: a method a line, mean and standard deviation over the seeds."""
    columns = list(next(iter(tables[0].values())))
    told = ", ".join(f"{value:,} {name.replace('_', ' ')}" for name, value in facts.items())
    lines = [
        f"### {study}: {len(tables)} seeds, mean ± standard deviation; {told}\n",
        f"| method | {' | '.join(name.replace('_', ' ') for name in columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for method in tables[0]:
        values = np.array([[t[method][name] for name in columns] for t in tables if method in t])
        shown = zip(values.mean(axis=0), values.std(axis=0), strict=True)
        lines.append(f"| {method} | {' | '.join(f'{m:.3f} ± {s:.3f}' for m, s in shown)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the studies asked for, or say why they cannot run here."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--boosting", action="store_true")
    parser.add_argument("--untrained", action="store_true")
    chosen = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for study in chosen.studies:
        if not DOROTHEA.is_file():
            print(f"skipped: no {DOROTHEA.name} in {SHARED.name} beside the project")
            return
        tables: list[dict[str, Any]] = []
        for seed in chosen.seeds:
            started = time.perf_counter()
            table, facts = run_study(study, seed, chosen.boosting, chosen.untrained)
            tables.append(table)
            page = markdown(study, tables, facts)
            record = {
                "machine": describe_machine(),
                "seeds": chosen.seeds[: len(tables)],
                "facts": facts,
                "last_seed_seconds": round(time.perf_counter() - started),
                "tables": tables,
            }
            path = RESULTS / f"gene_network_{study}"
            path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
            path.with_suffix(".md").write_text(page)
            print(page, flush=True)


if __name__ == "__main__":
    main()
