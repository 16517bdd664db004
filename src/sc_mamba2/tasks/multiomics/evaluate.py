"""Score on held-out cells: preserved types, imputation from other modalities, matching of modalities."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.cells.modalities import RNA
from sc_mamba2.metrics.integration import NEIGHBOURS, integration_scores, known_scores
from sc_mamba2.metrics.mixing import neighbour_mixing
from sc_mamba2.metrics.neighbours import nearest_neighbours
from sc_mamba2.metrics.prediction import feature_scores, foscttm
from sc_mamba2.reporting import Scores
from sc_mamba2.tasks.multiomics.baselines import Comparison, Outputs, Values
from sc_mamba2.tasks.multiomics.cells import LABEL, PART, has, scored_cells
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.params import EvaluationParams
from sc_mamba2.tasks.multiomics.summary import summarize
from sc_mamba2.tasks.multiomics.tokens import modality_values
from sc_mamba2.tasks.shared.batches import BATCH
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions


def score(
    outputs: Outputs,
    tokens: TokenizedCells,
    truth: pd.DataFrame,
    model: MultiomicsModel,
    report: dict[str, Any],
    run_info: dict[str, Any],
    params: EvaluationParams,
    compute: ComputeOptions,
    comparison: Comparison | None = None,
) -> dict[str, Any]:
    """Score the model, its baselines and ablations; return the contents of ``metrics.json``."""
    design, fewest, seed = tokens.obs, params.fewest_cells, compute.seed
    values = modality_values(tokens, model.tokenizer.vocabulary)
    others = comparison or Comparison()

    alone = {kind: others.embeddings.get(f"pca_{kind}") for kind in values}

    def embedded(own: np.ndarray) -> Scores:
        by_type = embedding_scores(own, design, truth, fewest, seed)
        return by_type | neighbours_kept(own, alone, design, seed)

    def all_scores(own: Outputs) -> Scores:
        imputed = _named(own, "imputed_")
        scores = embedded(own["joint"]) | imputation_scores(imputed, values, design)
        return scores | matching_scores(_named(own, "embedding_"), design)

    baselines = {name: embedded(own) for name, own in others.embeddings.items()}
    if others.ridge:
        baselines["ridge"] = imputation_scores(others.ridge, values, design)
    if others.matched:
        baselines["ridge_components"] = {
            name: value
            for kind, (rna, predicted) in others.matched.items()
            for name, value in matching_scores({RNA: rna, kind: predicted}, design).items()
        }
    views = _named(outputs, "embedding_")
    metrics = {
        "model": all_scores(outputs),
        "baselines": baselines,
        "ablations": {
            **{name: all_scores(own) for name, own in others.variants.items()},
            **{f"{kind}_view": embedded(own) for kind, own in views.items()},
            **{f"shuffled_{kind}": embedded(own) for kind, own in others.shuffled.items()},
        },
        "data": _describe_data(design, truth, fewest)
        | {
            "reference": report,
            "features_used": {kind: len(model.rows_of(kind)) for kind in model.widths},
        },
        "run": run_info | {"checkpoint_sha256": model.sha256()},
    }
    return metrics | {"summary": summarize(metrics)}


def embedding_scores(
    embedding_NE: np.ndarray, design: pd.DataFrame, truth: pd.DataFrame, fewest: int, seed: int
) -> Scores:
    """Score an embedding on the scored cells for which it is finite.

    Scores by type use the types with at least `fewest` scored cells.
    """
    finite = np.isfinite(embedding_NE).all(axis=1)
    rows = np.flatnonzero(scored_cells(design) & finite)
    several = design[BATCH].nunique() > 1
    scores: dict[str, Any] = {}
    if len(truth):
        labels = truth[LABEL].reindex(design.index).iloc[rows]
        counts = labels.value_counts()
        common = labels.isin(counts[counts >= fewest].index).to_numpy()
        if common.sum() > NEIGHBOURS and labels[common].nunique() > 1:
            some = rows[common]
            batches = design[BATCH].iloc[some] if several else None
            by_type = integration_scores(
                embedding_NE[some], labels[common], batches, seed, extras=False
            )
            scores = known_scores(by_type)
    if several and len(rows) > NEIGHBOURS:
        near = nearest_neighbours(embedding_NE[rows], NEIGHBOURS, seed)
        mixing = neighbour_mixing(near, design[BATCH].iloc[rows])
        if mixing is not None:  # None if the scored cells are of one batch
            scores["batch_mixing"] = mixing
    return scores


def neighbours_kept(
    embedding_NE: np.ndarray,
    alone: Mapping[str, np.ndarray | None],
    design: pd.DataFrame,
    seed: int,
) -> Scores:
    """Score how well an embedding preserves the neighbours of each single modality, without labels.

    ``kept_m``: share of a cell's nearest neighbours in the components of modality m that are also among its
    nearest in the embedding (`NEIGHBOURS`, self included); mean over the scored cells with all modalities.
    """
    known = {kind: own for kind, own in alone.items() if own is not None}
    usable = scored_cells(design) & np.isfinite(embedding_NE).all(axis=1)
    rows = np.flatnonzero(usable & design[[has(kind) for kind in alone]].all(axis=1).to_numpy())
    if len(rows) <= NEIGHBOURS:
        return {}
    near = nearest_neighbours(embedding_NE[rows], NEIGHBOURS, seed).graph() > 0
    return {
        f"kept_{kind}": float(
            near.multiply(nearest_neighbours(own[rows], NEIGHBOURS, seed).graph() > 0).sum()
            / (len(rows) * (NEIGHBOURS - 1))
        )
        for kind, own in known.items()
    }


def imputation_scores(imputed: Outputs, values: Values, design: pd.DataFrame) -> Scores:
    """Score the imputation of each modality: ``pearson_m`` and ``rmse_m``, means over its features."""
    scores: Scores = {}
    for kind, own in imputed.items():
        rows = imputed_rows(own, kind, design)
        if len(rows) > 2:
            by_score = feature_scores(own[rows], values[kind][rows].toarray())
            scores |= {f"{name}_{kind}": value for name, value in by_score.items()}
    return scores


def imputed_rows(imputed_NP: np.ndarray, kind: str, design: pd.DataFrame) -> np.ndarray:
    """Return the positions of scored cells that have a modality and its imputation."""
    have = design[has(kind)].to_numpy(bool)
    return np.flatnonzero(scored_cells(design) & have & np.isfinite(imputed_NP).all(axis=1))


def matching_scores(embeddings: Outputs, design: pd.DataFrame) -> Scores:
    """Score how well embeddings of RNA and of each other modality match: ``foscttm_m``."""
    scores: Scores = {}
    for kind, own in embeddings.items():
        if kind != RNA:
            rna = embeddings[RNA]
            both = np.isfinite(rna).all(axis=1) & np.isfinite(own).all(axis=1)
            rows = np.flatnonzero(scored_cells(design) & both)
            if len(rows) > 2:
                scores[f"foscttm_{kind}"] = foscttm(rna[rows], own[rows])
    return scores


def _named(outputs: Outputs, prefix: str) -> Outputs:
    """Return the outputs whose names have the prefix, by modality."""
    return {n.removeprefix(prefix): own for n, own in outputs.items() if n.startswith(prefix)}


def _describe_data(design: pd.DataFrame, truth: pd.DataFrame, fewest: int) -> dict[str, Any]:
    """Count cells, parts, batches, modalities and scored labels."""
    scored = scored_cells(design)
    labels = truth[LABEL].reindex(design.index[scored]).dropna()
    return {
        "cells": len(design),
        "parts": {str(k): int(v) for k, v in design[PART].value_counts().items()},
        "scored_cells": int(scored.sum()),
        "batches": {str(k): int(v) for k, v in design[BATCH].value_counts().items()},
        "modalities": {str(c)[4:]: int(design[c].sum()) for c in design.filter(like="has_")},
        "labels_scored": int((labels.value_counts() >= fewest).sum()),
    }
