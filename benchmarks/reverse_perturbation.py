"""Reverse perturbation beside chance, differential expression and pseudobulk neighbours.

    python benchmarks/reverse_perturbation.py [--studies papalexi unseen pairs] [--seeds 0 1 2]

`papalexi`: trained on replicate 1, each target's cells of replicate 2 are a query among 20 candidates.
`unseen`: the same queries, the target left out of the training (5 folds of 4). `pairs`: simulated cells,
20 genes singly and 40 of their 190 pairs to learn from, the other pairs to find among all 210. The
functions are those of the pipelines; the model is the estimate alone. Writes
`results/reverse_perturbation.json` and a Markdown table.
"""

import argparse
import json
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from machine import describe_machine

from sc_mamba2.cells import parts_of, simulate_perturbed, standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.metrics.retrieval import (
    hits,
    mean_reciprocal_rank,
    random_hits,
    random_reciprocal_rank,
)
from sc_mamba2.tasks.perturbation.effects import measure_effects
from sc_mamba2.tasks.perturbation.features import own_columns, single_features
from sc_mamba2.tasks.perturbation.fit import fit_rising_share
from sc_mamba2.tasks.perturbation.params import HeadParams, KeyParams, StartParams
from sc_mamba2.tasks.perturbation.prior_fit import fit_effect_prior
from sc_mamba2.tasks.perturbation.reverse.candidates import Candidates
from sc_mamba2.tasks.perturbation.reverse.comparisons import baseline_scores
from sc_mamba2.tasks.perturbation.reverse.params import RankParams
from sc_mamba2.tasks.perturbation.reverse.rank import make_ranker, rank_candidates
from sc_mamba2.tasks.perturbation.reverse.states import make_query

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).parents[2] / "shared" / "data"
SCORED = ("IFNGR1", "JAK2", "IRF1", "STAT2", "BRD4", "CUL3", "TNFRSF14")
KEYS = KeyParams()
STUDIES = ("papalexi", "unseen", "pairs")
Rankings = dict[str, list[tuple[str, list[str]]]]


def rank_queries(
    training: ad.AnnData, queries: ad.AnnData, truths: list[str], names: list[str], seed: int
) -> tuple[Rankings, dict[str, Any]]:
    """Train on cells, and rank all candidates for every query, in every way."""
    control = (training.obs["perturbation"] == "control").to_numpy()
    effects = measure_effects(training[~control], training[control])
    singles = single_features({part for name in names for part in name.split("+")}, KEYS)
    parts = {name: parts_of(name, ()) for name in names}
    own = own_columns({part for some in parts.values() for part in some}, effects.genes, KEYS)
    prior = fit_effect_prior(effects, singles, StartParams(), own)
    source = queries[(queries.obs["perturbation"] == "control").to_numpy()]
    columns = [list(own_columns(parts[name], effects.genes, KEYS).values()) for name in names]
    head = HeadParams()
    decoding = fit_rising_share(effects, head), head.most_scale
    candidates = Candidates(names, columns, prior, "new", decoding)
    queries_of = {
        truth: make_query(source, queries[(queries.obs["perturbation"] == truth).to_numpy()])
        for truth in truths
    }
    error_G = np.mean([query.error_G for query in queries_of.values()], axis=0)
    ranker = make_ranker(candidates, source.X, error_G, RankParams(), seed)
    rankings: Rankings = {}
    calibration = []
    for truth in truths:
        query = queries_of[truth]
        table = rank_candidates(ranker, query)
        scores = {"model": -table.set_index("perturbation")["rank"].loc[names].to_numpy()}
        scores |= {
            f"model: {name}": table.set_index("perturbation")[name].loc[names].to_numpy()
            for name in ("cosine", "distance", "retrieval", "head")
        }
        simple = baseline_scores(query, candidates)
        scores |= {name.replace("_", " "): own for name, own in simple.items()}
        calibration.append((float(table["probability"][0]), table["perturbation"][0] == truth))
        for method, values in scores.items():
            order = np.argsort(-values, kind="stable")
            rankings.setdefault(method, []).append((truth, [names[at] for at in order]))
    probability, right = (np.mean(part) for part in zip(*calibration, strict=True))
    facts = {"method": ranker.method, "probability": float(probability), "right": float(right)}
    return rankings, facts | {"resampled": ranker.simulated}


def papalexi(seed: int, unseen: bool) -> tuple[Rankings, list[dict[str, Any]], int]:
    """Find the targets of replicate 2's cells, trained on replicate 1."""
    cells = ad.read_h5ad(SHARED / "papalexi_partA.h5ad")
    cells, _ = standardise(cells, load_gene_table())
    cells.obs = pd.DataFrame(
        {
            "perturbation": cells.obs["perturbation"].astype(str),
            "context": cells.obs["batch"].astype(str),
        }
    )
    first, second = (
        cells[(cells.obs["context"] == name).to_numpy()].copy() for name in ("rep_1", "rep_2")
    )
    names = sorted(set(cells.obs["perturbation"]) - {"control"})
    order = np.random.default_rng(seed).permutation(names)
    folds = [list(map(str, order[at::5])) for at in range(5)] if unseen else [names]
    found: Rankings = {}
    facts = []
    for fold in folds:
        training = first
        if unseen:
            training = first[~first.obs["perturbation"].isin(fold).to_numpy()].copy()
        rankings, fact = rank_queries(training, second, fold, names, seed)
        facts.append(fact)
        for method, ranked in rankings.items():
            found.setdefault(method, []).extend(ranked)
    return found, facts, len(names)


def pairs(seed: int) -> tuple[Rankings, list[dict[str, Any]], int]:
    """Find the pair behind simulated cells, of which the training had its genes singly."""
    raw = simulate_perturbed(cells=40, genes=300, targets=20, pairs=190, strength=0.5, seed=seed)
    cells, _ = standardise(raw, load_gene_table())
    cells.obs = pd.DataFrame(
        {"perturbation": cells.obs["perturbation"].astype(str), "context": "all"}
    )
    singles = sorted({n for n in cells.obs["perturbation"] if "+" not in n} - {"control"})
    doubles = ["+".join(sorted(pair)) for pair in combinations(singles, 2)]
    shuffled = list(np.random.default_rng(seed).permutation(doubles))
    seen, asked = set(map(str, shuffled[:40])), list(map(str, shuffled[40:]))
    names = cells.obs["perturbation"]
    half = np.random.default_rng(seed).random(cells.n_obs) < 0.5
    control = (names == "control").to_numpy()
    training = cells[names.isin([*singles, *seen]).to_numpy() | (control & half)].copy()
    queries = cells[names.isin(asked).to_numpy() | (control & ~half)].copy()
    candidates = sorted([*singles, *doubles])
    rankings, fact = rank_queries(training, queries, asked, candidates, seed)
    return rankings, [fact], len(candidates)


def any_gene_hits(rankings: list[list[str]], truths: list[str], first: int) -> float:
    """Return the share of queries of which at least one gene is in one of the first names.

    "1/2" of scGPT (Cui 2024): a name is genes joined by "+".
    """
    found = []
    for ranking, truth in zip(rankings, truths, strict=True):
        genes = set(truth.split("+"))
        found.append(any(genes & set(name.split("+")) for name in ranking[:first]))
    return float(np.mean(found))


def summarise(
    rankings: Rankings, candidates: int, names: set[str] | None, fold: int | None
) -> dict[str, dict]:
    """Return the scores by method over the queries named, and those by chance."""
    table: dict[str, dict[str, float]] = {}
    for method, ranked in rankings.items():
        kept = [(truth, order) for truth, order in ranked if names is None or truth in names]
        ranks = [order.index(truth) + 1 if truth in order else None for truth, order in kept]
        scores = {f"hits@{k}": hits(ranks, k) for k in (1, 3, 8)}
        scores["mrr"] = mean_reciprocal_rank(ranks)
        if "+" in kept[0][0]:
            orders, truths = [order for _, order in kept], [truth for truth, _ in kept]
            scores |= {f"2/2@{k}": hits(ranks, k) for k in range(1, 9)}
            scores |= {f"1/2@{k}": any_gene_hits(orders, truths, k) for k in range(1, 9)}
        table[method] = scores
    chance = {f"hits@{k}": random_hits(candidates, k) for k in (1, 3, 8)}
    table["random"] = chance | {"mrr": random_reciprocal_rank(candidates)}
    if fold is not None:  # whoever knows which candidates were left out has fewer to choose from
        chance = {f"hits@{k}": random_hits(fold, k) for k in (1, 3, 8)}
        table["random among the left out"] = chance | {"mrr": random_reciprocal_rank(fold)}
    return table


def markdown(study: str, tables: list[dict[str, dict]]) -> str:
    """Return a table: a method a line, mean and standard deviation over the seeds."""
    columns = list(tables[0]["model"])
    lines = [
        f"### {study}: {len(tables)} seeds, mean ± standard deviation\n",
        f"| method | {' | '.join(columns)} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for method in tables[0]:
        cells = []
        for column in columns:
            values = [table[method][column] for table in tables if column in table[method]]
            cells.append(f"{np.mean(values):.3f} ± {np.std(values):.3f}" if values else "–")
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def run_studies(studies: list[str], seeds: list[int]) -> None:
    """Run studies over seeds; what has run so far is kept after each study."""
    RESULTS.mkdir(exist_ok=True)
    record: dict[str, Any] = {"machine": describe_machine(), "studies": {}}
    pages = []
    for study in studies:
        if study != "pairs" and not SHARED.is_dir():
            print(f"skipped: no folder {SHARED.name} beside the project")
            continue
        started, found = time.perf_counter(), []
        for seed in seeds:
            found.append(pairs(seed) if study == "pairs" else papalexi(seed, study == "unseen"))
        groups = {study: None} if study == "pairs" else {study: None, f"{study}, seven": SCORED}
        for title, names in groups.items():
            kept = set(names) if names else None
            fold = 4 if study == "unseen" else None
            tables = [summarise(ranked, count, kept, fold) for ranked, _, count in found]
            pages.append(markdown(title, tables))
            record["studies"][title] = tables
        record["studies"][f"{study}, facts"] = [facts for _, facts, _ in found]
        record["studies"][f"{study}, seconds"] = round(time.perf_counter() - started)
        path = RESULTS / "reverse_perturbation"
        path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
        path.with_suffix(".md").write_text("\n".join(pages))
        print("\n".join(pages[-len(groups) :]), flush=True)


def main() -> None:
    """Run the studies asked for, or say why they cannot run here."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    chosen = parser.parse_args()
    run_studies(chosen.studies, chosen.seeds)


if __name__ == "__main__":
    main()
