"""Scores on the cells held out: are types kept, is a modality told from the others, do they match?"""

from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.metrics.integration import NEIGHBOURS, integration_scores
from sc_mamba2.metrics.mixing import neighbour_mixing
from sc_mamba2.metrics.neighbours import nearest_neighbours
from sc_mamba2.metrics.prediction import feature_scores, foscttm
from sc_mamba2.reporting import Scores
from sc_mamba2.tasks.multiomics.design import LABEL, PART, has, scored_cells
from sc_mamba2.tasks.shared.batches import BATCH

_ASIDE = ("resolution", "silhouette_cells")  # how a score was taken, not a score


def embedding_scores(
    embedding_NE: np.ndarray,
    design: pd.DataFrame,
    truth: pd.DataFrame,
    fewest: int,
    seed: int,
) -> Scores:
    """Score an embedding of all cells on those that are scored and that it is finite for.

    Scores by type are of the types with at least `fewest` scored cells.
    """
    finite = np.isfinite(embedding_NE).all(axis=1)
    rows = np.flatnonzero(scored_cells(design) & finite)
    several = design[BATCH].nunique() > 1
    scores: Scores = {}
    if len(truth):
        labels = truth[LABEL].reindex(design.index).iloc[rows]
        counts = labels.value_counts()
        common = labels.isin(counts[counts >= fewest].index).to_numpy()
        if common.sum() > NEIGHBOURS and labels[common].nunique() > 1:
            some = rows[common]
            batches = design[BATCH].iloc[some] if several else None
            found = integration_scores(
                embedding_NE[some], labels[common], batches, seed, extras=False
            )
            scores = {n: s for n, s in found.items() if s is not None and n not in _ASIDE}
    if several and len(rows) > NEIGHBOURS:
        near = nearest_neighbours(embedding_NE[rows], NEIGHBOURS, seed)
        scores["batch_mixing"] = neighbour_mixing(near, design[BATCH].iloc[rows])
    return scores


def imputation_scores(
    told: dict[str, np.ndarray], values: dict[str, sparse.csr_matrix], design: pd.DataFrame
) -> Scores:
    """Score what is told of each modality: ``pearson_m`` and ``rmse_m``, means over its features."""
    scores: Scores = {}
    for kind, own in told.items():
        finite = np.isfinite(own).all(axis=1)
        rows = np.flatnonzero(scored_cells(design) & design[has(kind)].to_numpy(bool) & finite)
        if len(rows) > 2:
            found = feature_scores(own[rows], values[kind][rows].toarray())
            scores |= {f"{name}_{kind}": score for name, score in found.items()}
    return scores


def matching_scores(outputs: dict[str, np.ndarray], design: pd.DataFrame) -> Scores:
    """Score how well the embeddings of RNA and of each other modality find the same cell."""
    scores: Scores = {}
    for name, own in outputs.items():
        kind = name.removeprefix("embedding_")
        if name.startswith("embedding_") and kind != "rna":
            rna = outputs["embedding_rna"]
            both = np.isfinite(rna).all(axis=1) & np.isfinite(own).all(axis=1)
            rows = np.flatnonzero(scored_cells(design) & both)
            if len(rows) > 2:
                scores[f"foscttm_{kind}"] = foscttm(rna[rows], own[rows])
    return scores


def output_scores(
    outputs: dict[str, np.ndarray],
    values: dict[str, sparse.csr_matrix],
    design: pd.DataFrame,
    truth: pd.DataFrame,
    fewest: int,
    seed: int,
) -> Scores:
    """Score all that a model tells."""
    told = {
        name.removeprefix("imputed_"): own
        for name, own in outputs.items()
        if name.startswith("imputed_")
    }
    return (
        embedding_scores(outputs["joint"], design, truth, fewest, seed)
        | imputation_scores(told, values, design)
        | matching_scores(outputs, design)
    )


def describe_data(
    design: pd.DataFrame, truth: pd.DataFrame, report: dict[str, Any], fewest: int
) -> dict[str, Any]:
    """Say what the scores stand on."""
    scored = scored_cells(design)
    labels = (
        truth[LABEL].reindex(design.index[scored]).dropna() if len(truth) else pd.Series(dtype=str)
    )
    counts = labels.value_counts()
    return {
        "cells": len(design),
        "parts": {str(k): int(v) for k, v in design[PART].value_counts().items()},
        "scored_cells": int(scored.sum()),
        "batches": {str(k): int(v) for k, v in design[BATCH].value_counts().items()},
        "modalities": {c[4:]: int(design[c].sum()) for c in design.filter(like="has_")},
        "labels_scored": int((counts >= fewest).sum()),
        "reference": report,
    }
