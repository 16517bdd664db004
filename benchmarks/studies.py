"""Cell types across studies, by the default of the verb beside the simple methods: one row a pair.

    python benchmarks/studies.py [--pairs ZK MK ...] [--start NAME [--cells N]]

The pairs and goals are those that the quality page names. Z `zheng_facs_pbmc`, M
`mudan_sorted_pbmc_reference`, K `kang_ifnb_pbmc`, C `pbmc_cite_5k10k_rna` by its gates; the reference first.
`fine` pairs have Kang's 13 types, control to stimulated and back, or C's gates with T cells apart; P leaves
each study of `pancreas_panc8_1000x1000` out; `onek1k` calls 20 donors by 20 others. Cells of a type that the
reference lacks count as wrong; macro F1 is over the types of the query. Nothing has chance in it but the
thinning of the deeper file and the folds (seed 0). With a checkpoint the default stands beside it as
`without`, on the same cells: at most N of a reference and N of a query, drawn evenly. Writes
`results/studies_annotation*.json` and `.md`.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from machine import describe_machine
from sklearn.metrics import accuracy_score, f1_score

from sc_mamba2 import tl
from sc_mamba2.cells import keys
from sc_mamba2.tasks.annotation.baselines import baseline_calls
from sc_mamba2.tasks.annotation.params import AnnotationParams, BaselineParams, LabelParams
from sc_mamba2.tasks.annotation.split import take_query
from sc_mamba2.tasks.shared.parameters import build_parameters
from sc_mamba2.tasks.shared.params import SHARED_GROUPS
from sc_mamba2.tl.shared import valid_cells
from sc_mamba2.training.corpus_cells import even_sample

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).parents[2] / "shared" / "data"
FILES = {
    "Z": "zheng_facs_pbmc",
    "M": "mudan_sorted_pbmc_reference",
    "K": "kang_ifnb_pbmc",
    "C": "pbmc_cite_5k10k_rna",
}
PANCREAS = ("celseq", "celseq2", "fluidigmc1", "indrop", "smartseq2")
BROAD = ("ZK", "MK", "KM", "KZ", "KC", "CK", "ZC", "CZ", "MC", "CM")
PAIRS = {
    "broad": (*BROAD, *(f"P-{study}" for study in PANCREAS), "onek1k"),
    "fine": ("K-control", "K-stimulated", "KC-fine", "MC-fine"),
}
GROUPS = {"annotation": AnnotationParams, **SHARED_GROUPS}
TYPE = "type"
Cells = tuple[ad.AnnData, ad.AnnData]


def study(letter: str, fine: bool = False) -> ad.AnnData:
    """Read a study of blood, its types in ``obs["type"]``."""
    cells = ad.read_h5ad(SHARED / f"{FILES[letter]}.h5ad")
    if letter == "C":
        gates = cells.obs["cell_type_protein_gated"].astype(str)
        names = {} if fine else {"T_CD4": "T", "T_CD8": "T"}
        cells.obs[TYPE] = gates.replace({"unassigned": "unknown", **names})
    else:
        cells.obs[TYPE] = cells.obs["cell_type" if fine else "cell_type_broad"].astype(str)
    return cells


# Names of Kang's and Mudan's fine types as the gates call them.
_GATES: dict[str, Callable[[str], str]] = {
    "K": lambda name: {
        "CD4 Memory T": "T_CD4",
        "CD4 Naive T": "T_CD4",
        "T activated": "T_CD4",
        "CD8 T": "T_CD8",
        "CD14 Mono": "Mono",
        "CD16 Mono": "Mono",
        "B": "B",
        "B Activated": "B",
        "NK": "NK",
    }.get(name, name),
    "M": lambda name: {
        "cytotoxict": "T_CD8",
        "naivecytotoxic": "T_CD8",
        "memoryt": "T_CD4",
        "naivet": "T_CD4",
        "regulatoryt": "T_CD4",
        "thelper": "T_CD4",
        "bcells": "B",
        "monocytes": "Mono",
        "nk": "NK",
    }.get(name, name),
}


def pair(name: str) -> Cells:
    """Return the reference and the query of a pair."""
    if name.startswith("P-"):
        cells = ad.read_h5ad(SHARED / "pancreas_panc8_1000x1000.h5ad")
        cells.obs[TYPE] = cells.obs["cell_type"].astype(str)
        out = (cells.obs["batch"].astype(str) == name[2:]).to_numpy()
        return cells[~out].copy(), cells[out].copy()
    if name == "onek1k":
        cells = ad.read_h5ad(SHARED / "onek1k_40donors_1000genes.h5ad")
        cells.obs[TYPE] = cells.obs["cell_type"].astype(str)
        donors = cells.obs["donor"].astype(str)
        first = donors.isin(np.sort(donors.unique())[:20]).to_numpy()
        return cells[first].copy(), cells[~first].copy()
    if name in ("K-control", "K-stimulated"):
        cells = study("K", fine=True)
        drug = cells.obs["perturbation"].astype(str)
        control = (drug == "control").to_numpy()
        parts = cells[control].copy(), cells[~control].copy()
        return parts if name == "K-control" else parts[::-1]
    fine = name.endswith("-fine")
    reference, query = study(name[0], fine), study(name[1], fine)
    if fine:
        reference.obs[TYPE] = reference.obs[TYPE].map(_GATES[name[0]])
    return reference, query


def simple(reference: ad.AnnData, query: ad.AnnData) -> pd.DataFrame:
    """Call the query by the simple methods that a report shows."""
    groups = build_parameters(GROUPS, {"annotation.labels.key": TYPE})
    known, asked = (valid_cells(cells, groups).valid for cells in (reference, query))
    training, cells, _ = take_query(known, asked, LabelParams(key=TYPE))
    return baseline_calls(training, cells, BaselineParams(), 0)


def scores(truth: pd.Series, called: pd.Series) -> dict[str, float]:
    """Return accuracy and macro F1 over the types of the query."""
    known = (truth != "unknown").to_numpy()
    names, calls = truth[known].to_numpy(str), called[known].to_numpy(str)
    macro = f1_score(names, calls, average="macro", labels=np.unique(names), zero_division=0)
    return {"accuracy": float(accuracy_score(names, calls)), "macro_f1": float(macro)}


def run(name: str, start: str | None, most: int | None) -> dict[str, object]:
    """Call one pair; the simple methods beside the default, the experts alone and without a backbone."""
    reference, query = (
        cells[even_sample(np.arange(cells.n_obs), most or cells.n_obs)].copy()
        for cells in pair(name)
    )
    options = {} if start is None else {"start": start}
    clock = time.perf_counter()
    done = tl.annotate(query, reference, label_key=TYPE, copy=True, **options)
    seconds = time.perf_counter() - clock
    called = {"consensus": done.obs[keys.CELL_TYPE]}
    called |= {f"expert: {name}": told for name, told in done.obsm[keys.EXPERTS].items()}
    called |= dict(simple(reference, query).items())
    if start is not None:
        default = tl.annotate(query, reference, label_key=TYPE, copy=True)
        called["without"] = default.obs[keys.CELL_TYPE]
    truth = query.obs[TYPE]
    row = {method: scores(truth, calls.loc[truth.index]) for method, calls in called.items()}
    print(
        name, f"{seconds:.0f} s", {m: round(s["accuracy"], 3) for m, s in row.items()}, flush=True
    )
    weights = {name: float(w) for name, w in done.uns[keys.FACTS]["expert_weights"].items()}
    types = reference.obs[TYPE].unique()
    known = float(truth[truth != "unknown"].isin(types).mean())
    return {
        "cells": query.n_obs,
        "seconds": seconds,
        "known": known,
        "scores": row,
        "weights": weights,
    }


def table(rows: dict[str, dict]) -> str:
    """Lay the pairs out beside the better of the simple methods."""
    lines = [
        "| pair | cells | consensus | logistic regression | PCA + kNN | over the better | F1 | of the better |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, names in PAIRS.items():
        differences, macro = [], []
        for name in (name for name in names if name in rows):
            found = rows[name]["scores"]
            three = [found[m] for m in ("consensus", "logistic_regression", "pca_knn")]
            better = max(three[1:], key=lambda s: s["accuracy"])
            differences.append(three[0]["accuracy"] - better["accuracy"])
            macro.append(three[0]["macro_f1"] - better["macro_f1"])
            shown = " | ".join(f"{s['accuracy']:.3f}" for s in three)
            f1 = f"{three[0]['macro_f1']:.3f} | {better['macro_f1']:.3f}"
            lines.append(
                f"| {name} | {rows[name]['cells']:,} | {shown} | {differences[-1]:+.3f} | {f1} |"
            )
        if differences:
            mean = f"{np.mean(differences):+.3f} (least {min(differences):+.3f})"
            lines.append(f"| **mean, {kind}** | | | | | {mean} | {np.mean(macro):+.3f} | |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the pairs that are named, keep what was run before, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--pairs", nargs="*", default=[n for names in PAIRS.values() for n in names]
    )
    parser.add_argument("--start", help="pretrained checkpoint whose states are experts too")
    parser.add_argument("--cells", type=int, help="of the reference and of the query at most")
    asked = parser.parse_args()
    place = RESULTS / f"studies_annotation{'_' + asked.start if asked.start else ''}.json"
    kept = json.loads(place.read_text()) if place.exists() else {"rows": {}}
    for name in asked.pairs:
        kept["rows"][name] = run(name, asked.start, asked.cells)
        kept["machine"] = describe_machine()
        place.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    place.with_suffix(".md").write_text(table(kept["rows"]))
    print(table(kept["rows"]))


if __name__ == "__main__":
    main()
