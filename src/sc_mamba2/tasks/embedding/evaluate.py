"""Scores of embeddings: how well they keep types together; the same function for every method."""

import logging
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.cells import keys
from sc_mamba2.methods.neighbour_vote import cross_validated_votes
from sc_mamba2.metrics.classification import classification_metrics
from sc_mamba2.metrics.integration import integration_scores, known_scores
from sc_mamba2.reporting import unshared_words
from sc_mamba2.tasks.embedding.baselines import METHODS, SIMPLE
from sc_mamba2.tasks.embedding.blocks import BATCH, LABEL, EmbeddedBlocks
from sc_mamba2.tasks.embedding.mapping import SHARED
from sc_mamba2.tasks.embedding.model import Encoder
from sc_mamba2.tasks.embedding.params import EvaluationParams
from sc_mamba2.tasks.embedding.summary import summarize
from sc_mamba2.tasks.shared.coverage import with_coverage
from sc_mamba2.tasks.shared.params import ValidationParams
from sc_mamba2.tasks.shared.validation import other_feature_remarks, quartiles, remarks
from sc_mamba2.training import ComputeOptions

_log = logging.getLogger(__name__)


def score(
    sample: AnnData,
    embedded: EmbeddedBlocks,
    encoder: Encoder,
    evaluation: EvaluationParams,
    validation: ValidationParams,
    compute: ComputeOptions,
    run_info: dict[str, Any],
    calls: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Score the model's embedding and the baselines on the same cells, and types from an index.

    Returns
    -------
    dict
        The contents of ``metrics.json``, with the methods that the sample has.
    """
    scores = {
        name: score_embedding(sample.obsm[place], sample.obs, evaluation, compute.seed)
        for name, place in METHODS.items()
        if place in sample.obsm
    }
    if calls is not None:
        scores["model"] |= score_transfer(calls, embedded.obs)
    metrics = {
        "model": scores["model"],
        "baselines": {name: scores[name] for name in SIMPLE if name in scores},
        "ablations": {name: scores[name] for name in ("untrained",) if name in scores},
        "data": _describe_data(sample, embedded, validation, calls),
        "run": run_info | {"checkpoint_sha256": encoder.checkpoint_sha256},
    }
    return metrics | {"summary": summarize(metrics)}


def score_embedding(
    vectors: np.ndarray, obs: pd.DataFrame, params: EvaluationParams, seed: int
) -> dict[str, float]:
    """Score one embedding by `integration_scores` and cross-validated nearest-neighbour votes.

    Parameters
    ----------
    vectors
        (n, D).
    obs
        n rows, with ``label`` and ``batch`` if known.

    Returns
    -------
    dict
        ``knn_accuracy`` and ``knn_macro_f1`` of the labels, 0 to 1, higher is better;
        ``knn_batch_accuracy`` of the batches, lower is better mixed; ``avg_bio``, ``avg_batch`` and
        their parts. A column that is absent, or has fewer than two classes, is not scored.
    """
    labels, batches = (obs.get(key) for key in (LABEL, BATCH))
    scores = known_scores(integration_scores(vectors, labels, batches, seed))
    if (voted := _score_votes(vectors, labels, params, seed)) is not None:
        scores |= {"knn_accuracy": voted["accuracy"], "knn_macro_f1": voted["macro_f1"]}
    if (voted := _score_votes(vectors, batches, params, seed)) is not None:
        scores["knn_batch_accuracy"] = voted["accuracy"]
    return scores


def score_transfer(calls: pd.DataFrame, obs: pd.DataFrame) -> dict[str, float]:
    """Score the types from an index, on all labelled cells that are not in the index.

    If no label is a type of the index nothing is scored, since 0 would mean that every call is wrong.
    """
    scores = {"unassigned_share": float(calls[keys.UNASSIGNED].mean())}
    if LABEL not in obs:
        return scores
    known = obs[LABEL].notna().to_numpy()
    known[calls.attrs.get(SHARED, [])] = False
    if not known.any():
        return scores
    truth, called = (
        column[known].to_numpy(dtype=str) for column in (obs[LABEL], calls[keys.CELL_TYPE])
    )
    if not np.isin(truth, calls[keys.CELL_TYPE].astype("category").cat.categories).any():
        _log.warning(unshared_words(sorted(set(truth))[:5], "the index"))
        return scores
    transfer = classification_metrics(truth, called)
    return scores | {f"transfer_{name}": transfer[name] for name in ("accuracy", "macro_f1")}


def _score_votes(
    vectors: np.ndarray, column: pd.Series | None, params: EvaluationParams, seed: int
) -> dict[str, Any] | None:
    if column is None:
        return None
    known = column.notna().to_numpy()
    classes = column[known].to_numpy(dtype=str)
    voted = cross_validated_votes(vectors[known], classes, params.neighbours, params.folds, seed)
    return None if voted is None else classification_metrics(classes, voted)


def _describe_data(
    sample: AnnData,
    embedded: EmbeddedBlocks,
    validation: ValidationParams,
    calls: pd.DataFrame | None,
) -> dict[str, Any]:
    expressed, report = embedded.genes_a_cell(), embedded.form.report
    counted = embedded.form.kind == "counts"
    seen = [] if calls is None else calls.attrs.get("remarks", [])
    called = {}
    if calls is not None:
        counts = calls.loc[~calls[keys.UNASSIGNED], keys.CELL_TYPE].value_counts()
        called = {
            "unassigned_beyond": calls.attrs.get("limit"),
            "called": {str(name): int(count) for name, count in counts.items() if count},
        }
    described = {
        "cells": embedded.cells,
        "width": embedded.width,
        "scored_cells": len(sample),
        **{f"{key}_classes": int(embedded.obs[key].nunique()) for key in embedded.obs},
        **{name: value for name, value in report.items() if name != "absence"},
        "genes_a_cell": quartiles(expressed),
        "remarks": [
            *seen,
            *report["remarks"],
            *remarks(expressed, report["genes"], counted, validation),
            *other_feature_remarks(report),
            *report.get("absence", ()),
        ],
        **called,
    }
    return with_coverage(described, embedded.coverage)
