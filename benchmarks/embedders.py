"""`tl.embed` with each checkpoint next to PCA: AvgBIO, neighbours' accuracy, cells per second.

    python benchmarks/embedders.py [--checkpoints scm-tiny scm-counts] [--cells 1000]

An even sample of the cells of each study. PCA of the 2,000 most variable genes, as the verb's own
baseline, and of all genes. AvgBIO as `scm embed` scores it; accuracy of 15 neighbours, five folds.
scm-tiny has not seen pancreas, pbmc_cite and onek1k; scm-counts not kang and pancreas; of pbmc68k both
have seen other cells of the same study. Writes `results/embedders.json` and `.md`.
"""

import argparse
import json
import time
from pathlib import Path

import anndata as ad
import numpy as np
from machine import describe_machine
from scanpy.datasets import pbmc68k_reduced
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

import sc_mamba2 as scm
from sc_mamba2.cells.standard_form import standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.methods.integration import pca_embedding, variable_genes
from sc_mamba2.metrics.integration import integration_scores
from sc_mamba2.training.corpus_cells import even_sample

SHARED = Path(__file__).parents[2] / "shared" / "data"
RESULTS = Path(__file__).parent / "results"
GENES, NEIGHBOURS, FOLDS = 2000, 15, 5
BASELINES = {"PCA": GENES, "PCA of all genes": None}
STUDIES = {
    "kang": ("kang_ifnb_pbmc", "cell_type"),
    "pancreas": ("pancreas_panc8_1000x1000", "cell_type"),
    "pbmc_cite": ("pbmc_cite_5k10k_rna", "cell_type_protein_gated"),
    "onek1k": ("onek1k_40donors_1000genes", "cell_type"),
}


def read(study: str, most: int) -> tuple[ad.AnnData, np.ndarray]:
    """Return an even sample of a study's labelled cells in the standard form, and their types."""
    if study == "pbmc68k":
        found, key = pbmc68k_reduced(), "bulk_labels"
    else:
        name, key = STUDIES[study]
        found = ad.read_h5ad(SHARED / f"{name}.h5ad")
    cells, _ = standardise(found, load_gene_table())
    labelled = np.flatnonzero(cells.obs[key].notna())
    cells = cells[even_sample(labelled, most)].copy()
    return cells, cells.obs[key].astype(str).to_numpy()


def judge(z_ND: np.ndarray, types: np.ndarray) -> dict[str, float]:
    """Score vectors against the types of their cells; a type of fewer than five cells has no part."""
    names, sizes = np.unique(types, return_counts=True)
    common = np.isin(types, names[sizes >= FOLDS])
    near = KNeighborsClassifier(NEIGHBOURS)
    correct = cross_val_score(near, z_ND[common], types[common], cv=FOLDS)
    bio = integration_scores(z_ND, types, None)["avg_bio"]
    return {"AvgBIO": float(bio or 0), "accuracy": float(correct.mean())}


def main() -> None:
    """Embed, score, write a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--checkpoints", nargs="+", default=["scm-tiny", "scm-counts"])
    parser.add_argument("--cells", type=int, default=1000)
    args = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for study in (*STUDIES, "pbmc68k"):
        cells, types = read(study, args.cells)
        found[study] = {
            name: judge(pca_embedding(cells.X[:, variable_genes(cells.X, genes)]), types)
            for name, genes in BASELINES.items()
        }
        for name in args.checkpoints:
            start = time.perf_counter()
            embedded = scm.tl.embed(cells, checkpoint=name, copy=True)
            pace = {"cells a second": cells.n_obs / (time.perf_counter() - start)}
            found[study][name] = judge(embedded.obsm["X_scm"], types) | pace
        print(study, json.dumps(found[study]), flush=True)
    names = ["AvgBIO", "accuracy", "cells a second"]
    methods = [*BASELINES, *args.checkpoints]
    lines = [f"| study | score | {' | '.join(methods)} |", "|---" * (len(methods) + 2) + "|"]
    for study, scores in found.items():
        for name in names:
            values = [f"{scores[one][name]:.3f}" if name in scores[one] else "" for one in methods]
            lines.append(f"| {study} | {name} | {' | '.join(values)} |")
    (RESULTS / "embedders.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    content = {"machine": describe_machine(), "cells": args.cells, "scores": found}
    (RESULTS / "embedders.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
