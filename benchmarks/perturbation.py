"""Perturbations beside their baselines, ablations and the noise ceiling, over several seeds.

    python benchmarks/perturbation.py [--studies papalexi replicate kang gbm norman] [--seeds 0 1 2]
                                      [--variants trunk_alone ...] [--permuted] [--params a=b]

`papalexi`: 5 folds of 4 targets held out. `replicate`: its second replicate held out. `kang`: the
stimulated cells of each cell type held out in turn. `gbm`: the drug's cells of each patient in turn.
`norman`: unseen pairs, a smoke test without a claim. Each fold and seed is one run of the project's own
pipeline with the parameters of conf/base; the script only collects `metrics.json`. What was tried stands in
`results/perturbation_tried.md`. Writes `results/perturbation_<study>.json` and a Markdown table.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import anndata as ad
import numpy as np
import pandas as pd
from machine import describe_machine

from sc_mamba2.metrics.perturbation import discrimination_scores
from sc_mamba2.runs.logs import set_logging
from sc_mamba2.runs.selection import Selection, merge, parse_params
from sc_mamba2.runs.session import run_in_folder
from sc_mamba2.tasks.perturbation.features import gene_ids
from sc_mamba2.tasks.perturbation.params import Variant

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).parents[2] / "shared" / "data"
FILES = {
    "papalexi": "papalexi_partA.h5ad",
    "replicate": "papalexi_partA.h5ad",
    "kang": "kang_ifnb_pbmc.h5ad",
    "gbm": "gbm_panobinostat_300.h5ad",
    "norman": "norman19_k562_crispra.h5ad",
}
# Targets whose split-half ceiling is 0.3 or more, as `evaluation.md` of the design names them.
SCORED = ("IFNGR1", "JAK2", "IRF1", "STAT2", "BRD4", "CUL3", "TNFRSF14")
FOLDS = 5
POOLS = ("scored", "all")
MIN_CELLS = 10  # stimulated cells of a type that is held out
SCORES = (
    "pearson_delta",
    "pearson_delta_top",
    "discrimination",
    "discrimination_cosine",
    "direction_match",
    "mse",
    "mae",
)


def folds_of(study: str, cells: ad.AnnData, seed: int) -> Iterator[dict[str, Any]]:
    """Give the parameters of every run of a study."""
    names = sorted(set(cells.obs["perturbation"].astype(str)) - {"control"})
    if study == "papalexi":
        order = np.random.default_rng(seed).permutation(names)
        for fold in range(FOLDS):
            split = {"held_out": [str(name) for name in order[fold::FOLDS]], "most_cells": 200}
            yield {"keys": {"context_key": "batch"}, "split": split}
    elif study == "replicate":
        split = {"kind": "unseen_context", "held_out": ["rep_2"]}
        yield {"keys": {"context_key": "batch"}, "split": split}
    elif study == "kang":
        stimulated = cells.obs[cells.obs["perturbation"] != "control"]
        counts = stimulated["cell_type"].value_counts()
        for name in sorted(counts.index[counts >= MIN_CELLS].astype(str)):
            split = {"kind": "unseen_context", "held_out": [name]}
            yield {"keys": {"context_key": "cell_type", "kind": "chemical"}, "split": split}
    elif study == "gbm":
        for name in sorted(cells.obs["batch"].astype(str).unique()):
            split = {"kind": "unseen_context", "held_out": [name]}
            yield {"keys": {"context_key": "batch", "kind": "chemical"}, "split": split}
    else:
        yield {"keys": {"kind": "crispra"}, "split": {"kind": "unseen_combination"}}


def write_cells(study: str, seed: int, permuted: bool, folder: Path) -> tuple[Path, ad.AnnData]:
    """Write a study's cells; with `permuted` its perturbations swap their names at random."""
    cells = ad.read_h5ad(SHARED / FILES[study])
    if permuted:
        names = sorted(set(cells.obs["perturbation"].astype(str)) - {"control"})
        other = dict(zip(names, np.random.default_rng(100 + seed).permutation(names), strict=True))
        cells.obs["perturbation"] = cells.obs["perturbation"].astype(str).replace(other)
    path = folder / f"{study}.h5ad"
    cells.write_h5ad(path)
    return path, cells


def run_seed(
    study: str, seed: int, permuted: bool, variants: list[str], params: dict[str, Any]
) -> dict[str, Any]:
    """Run all folds of a study with one seed; return the scores of every fold."""
    started = time.perf_counter()
    found: list[dict[str, Any]] = []
    effects: list[pd.DataFrame] = []
    with tempfile.TemporaryDirectory() as scratch:
        path, cells = write_cells(study, seed, permuted, Path(scratch))
        for place, fold in enumerate(folds_of(study, cells, seed)):
            # Every unit keeps its own scores; which are averaged is decided below.
            fold["evaluation"] = {"least_ceiling": -1}
            fold["ablations"] = {"names": variants}
            given = {"input": str(path), "compute": {"seed": seed}, "perturbation": fold}
            selection = Selection(pipelines=("perturbation",), params=merge(given, params))
            finished = run_in_folder(selection, Path(scratch) / f"run_{place}")
            metrics = json.loads(finished.written["perturbation.metrics"].read_text())
            effects.append(pd.read_parquet(finished.written["perturbation.held_out_effects"]))
            found.append(
                {
                    "units": metrics["data"]["units"],
                    "layers": metrics["data"]["layers"],
                    "shares": metrics["data"]["shares"],
                    "context_shares": metrics["data"]["context_shares"],
                    "correlation_between": metrics["data"]["correlation_between"],
                }
            )
            print(f"  fold {place}: {round(time.perf_counter() - started)} s", flush=True)
    seconds = round(time.perf_counter() - started)
    pooled = {kind: pooled_discrimination(study, effects, kind == "scored") for kind in POOLS}
    return {"seed": seed, "seconds": seconds, "folds": found, "pooled": pooled}


def pooled_discrimination(
    study: str, effects: list[pd.DataFrame], scored_only: bool
) -> dict[str, dict[str, float]]:
    """Rank each prediction's own real effect among those of all folds, by method and distance.

    A fold's mean lacks its own targets, so that a mean is below 0.5 here by construction; within a
    fold it is 0.5.
    """
    table = pd.concat(effects, join="inner", ignore_index=True)
    if scored_only and study == "papalexi":
        table = table[table["unit"].isin(SCORED)]
    genes = [name for name in table.columns if name not in ("unit", "method")]
    own = set(gene_ids(sorted(set(table["unit"]))).values()) if study == "papalexi" else set()
    genes = [name for name in genes if name not in own]
    by_method = {
        method: part.sort_values("unit", kind="stable")[genes].to_numpy()
        for method, part in table.groupby("method")
    }
    real_UG = by_method.pop("real")
    if len(real_UG) < 2:
        return {}
    return {
        method: {
            metric: float(discrimination_scores(told_UG, real_UG, metric).mean())
            for metric in ("cityblock", "cosine")
        }
        for method, told_UG in by_method.items()
    }


def seed_scores(study: str, run: dict[str, Any], scored_only: bool) -> dict[str, dict[str, float]]:
    """Return the mean scores of a seed by method, over all of its folds' units."""
    units = [unit for fold in run["folds"] for unit in fold["units"]]
    if scored_only and study in ("papalexi", "replicate"):
        kept = [unit for unit in units if str(unit["unit"]).split(" in ")[0] in SCORED]
        units = kept or units
    methods = list(units[0]["scores"])
    table = {
        method: {
            score: float(np.mean([unit["scores"][method][score] for unit in units]))
            for score in SCORES
            if score in units[0]["scores"][method]
        }
        for method in methods
    }
    table["ceiling"] = {"pearson_delta": float(np.mean([unit["ceiling"] for unit in units]))}
    return table


def markdown(study: str, runs: list[dict[str, Any]]) -> str:
    """Return the tables: a method a line; then the held-out names with their ceilings."""
    lines = []
    for scored_only in (True, False):
        if not scored_only and study != "papalexi":
            continue
        what = ""
        if study in ("papalexi", "replicate"):
            what = ", the seven targets with an effect" if scored_only else ", all 20 targets"
        found = [seed_scores(study, run, scored_only) for run in runs]
        shown = [score for score in SCORES if score in found[0]["model"]]
        lines += [
            f"### perturbation, {study}{what}: {len(runs)} seeds, mean ± standard deviation\n",
            f"| method | {' | '.join(name.replace('_', ' ') for name in shown)} |",
            "|---" * (len(shown) + 1) + "|",
        ]
        for method in found[0]:
            columns = []
            for score in shown:
                values = [table[method].get(score, np.nan) for table in found]
                missing = np.isnan(values).all()
                columns.append("–" if missing else f"{np.mean(values):.3f} ± {np.std(values):.3f}")
            lines.append(f"| {method} | {' | '.join(columns)} |")
        lines.append("")
    parts = [lines, _pooled_lines(runs), _unit_lines(runs), _alike_lines(runs)]
    return "\n".join(line for part in parts for line in part) + "\n"


def _pooled_lines(runs: list[dict[str, Any]]) -> list[str]:
    columns = [
        (pool, metric)
        for pool in POOLS
        for metric in ("cityblock", "cosine")
        if runs[0]["pooled"][pool]
    ]
    if not columns:
        return []
    head = " | ".join(f"{pool}, {metric}" for pool, metric in columns)
    lines = [
        f"Discrimination among the real effects of all folds\n\n| method | {head} |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for method in runs[0]["pooled"][columns[0][0]]:
        shown = []
        for pool, metric in columns:
            values = [run["pooled"][pool][method][metric] for run in runs]
            shown.append(f"{np.mean(values):.3f} ± {np.std(values):.3f}")
        lines.append(f"| {method} | {' | '.join(shown)} |")
    return [*lines, ""]


def _unit_lines(runs: list[dict[str, Any]]) -> list[str]:
    units = [unit for run in runs for fold in run["folds"] for unit in fold["units"]]
    methods = list(units[0]["scores"])
    lines = [
        f"Pearson delta by name\n\n| held out | cells | ceiling | {' | '.join(methods)} |",
        "|---" * (len(methods) + 3) + "|",
    ]
    named: dict[str, list] = {}
    for unit in units:
        named.setdefault(str(unit["unit"]), []).append(unit)
    for name, same in sorted(named.items(), key=lambda item: -_mean(item[1], "ceiling")):
        scores = [
            np.mean([unit["scores"][method]["pearson_delta"] for unit in same])
            for method in methods
        ]
        row = " | ".join(f"{score:.3f}" for score in scores)
        cells, ceiling = _mean(same, "cells"), _mean(same, "ceiling")
        lines.append(f"| {name} | {cells:.0f} | {ceiling:.2f} | {row} |")
    return [*lines, ""]


def _alike_lines(runs: list[dict[str, Any]]) -> list[str]:
    folds = [fold for run in runs for fold in run["folds"]]
    alike = [fold["correlation_between"] for fold in folds if fold["correlation_between"]]
    trained = [fold["layers"] for fold in folds if "loss_with" in fold["layers"]]
    kept = sum(bool(verdict["kept"]) for verdict in trained)
    lines = [f"The Mamba2 layers were kept in {kept} of {len(trained)} trainings."]
    if not trained:
        lines = ["The model is the estimate alone: the Mamba2 layers took no part."]
    if alike:
        means = {which: np.mean([pair[which] for pair in alike]) for which in alike[0]}
        lines.append(
            f"Mean correlation of two held-out perturbations' effects: predicted "
            f"{means['predicted']:.2f}, real {means['real']:.2f}."
        )
    return lines


def _mean(units: list[dict[str, Any]], field: str) -> float:
    return float(np.mean([unit[field] for unit in units]))


def run_studies(
    studies: list[str],
    seeds: list[int],
    permuted: bool,
    variants: list[str],
    params: dict[str, Any],
) -> None:
    """Run studies over seeds; what has run so far is kept after each seed."""
    RESULTS.mkdir(exist_ok=True)
    for study in studies:
        runs = []
        path = RESULTS / f"perturbation_{study}{'_permuted' if permuted else ''}"
        for seed in seeds:
            runs.append(run_seed(study, seed, permuted, variants, params))
            record = {"study": study, "params": params, "machine": describe_machine()}
            path.with_suffix(".json").write_text(
                json.dumps(record | {"runs": runs}, indent=1) + "\n"
            )
            path.with_suffix(".md").write_text(markdown(study, runs))
            print(f"{study}, seed {seed}, {runs[-1]['seconds']} s", flush=True)
        print(markdown(study, runs))


def main() -> None:
    """Run the studies asked for, or say why they cannot run here."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--studies", nargs="+", choices=list(FILES), default=list(FILES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--permuted", action="store_true", help="perturbations swap their names")
    parser.add_argument("--variants", nargs="*", choices=get_args(Variant), default=[])
    parser.add_argument("--params", nargs="+", default=[])
    chosen = parser.parse_args()
    set_logging(verbose=False)
    if not SHARED.is_dir():
        print(f"skipped: no folder {SHARED.name} beside the project")
        return
    params = parse_params(chosen.params)
    run_studies(chosen.studies, chosen.seeds, chosen.permuted, chosen.variants, params)


if __name__ == "__main__":
    main()
