"""Scores of the corrected embedding, its baselines and ablations, on the same cells."""

import logging
from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.metrics.integration import NEIGHBOURS, integration_scores, known_scores
from sc_mamba2.metrics.mixing import neighbour_mixing
from sc_mamba2.metrics.neighbours import nearest_neighbours
from sc_mamba2.reporting import Scores
from sc_mamba2.tasks.batch_correction.candidates import RESULT, Candidates
from sc_mamba2.tasks.batch_correction.fit import LABEL
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.batch_correction.summary import summarize
from sc_mamba2.tasks.shared.batches import BATCH, confounded_labels
from sc_mamba2.training import ComputeOptions

WITHOUT = "without_trained_model"
LOG = logging.getLogger(__name__)


def score(
    outputs: dict[str, np.ndarray],
    candidates: Candidates,
    truth: pd.DataFrame,
    model: BatchCorrectionModel,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
    compute: ComputeOptions,
    ablations: dict[str, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Score the result, its candidates and ablations; return the contents of ``metrics.json``.

    The baselines include all candidates, also the embedding of a trained model.
    """
    before = candidates.embeddings.get("pca")
    groups = {"model": {RESULT: outputs["embedding"]}, "baselines": candidates.embeddings}
    groups["ablations"] = ablations or {}
    if candidates.without_model is not None:
        groups["ablations"] = groups["ablations"] | {WITHOUT: candidates.without_model}
    scores = {
        group: {
            name: score_embedding(embedding, truth, before, compute.seed)
            | candidates.scores.get(name, {})
            for name, embedding in embeddings.items()
        }
        for group, embeddings in groups.items()
    }
    data = describe_data(truth)
    for doubt in data["doubts"]:
        LOG.warning("%s (%s)", doubt["remark"], doubt["rule"])
    genes = len(model.tokenizer.vocabulary.gene_rows)
    metrics = {
        **scores,
        "model": scores["model"][RESULT],
        "data": data
        | {"reference": validation_report, "genes_used": genes, "weights": dict(model.weights)},
        "run": run_info | {"checkpoint_sha256": model.sha256()},
    }
    return metrics | {"summary": summarize(metrics)}


def score_embedding(
    embedding_NE: np.ndarray, truth: pd.DataFrame, before_ND: np.ndarray | None, seed: int
) -> Scores:
    """Score one embedding.

    Parameters
    ----------
    embedding_NE
        Embedding of all cells.
    truth
        Their ``batch`` and ``label``, ``None`` for cells without one.
    before_ND
        Uncorrected embedding, for PCR if scib-metrics is installed.

    Returns
    -------
    dict
        The available `integration_scores`, and ``batch_mixing`` (see `neighbour_mixing`), which needs no
        labels.
    """
    batches = truth[BATCH]
    labels = truth[LABEL] if truth[LABEL].notna().any() else None
    scores = integration_scores(embedding_NE, labels, batches, seed, before_NE=before_ND)
    mixing = neighbour_mixing(nearest_neighbours(embedding_NE, NEIGHBOURS, seed), batches)
    return known_scores(scores | {"batch_mixing": mixing})


def describe_data(truth: pd.DataFrame) -> dict[str, Any]:
    """Return the numbers of cells, batches and labels behind the scores, and doubts about these."""
    labels = truth[LABEL].dropna()
    return {
        "cells": len(truth),
        "batches": {str(name): int(count) for name, count in truth[BATCH].value_counts().items()},
        "labelled_cells": len(labels),
        "labels": int(labels.nunique()),
        "doubts": _doubts(truth[BATCH], labels),
    }


def _doubts(batches: pd.Series, labels: pd.Series) -> list[dict[str, str]]:
    confounded = confounded_labels(batches, labels) if len(labels) else []
    if not confounded:
        return []
    named = ", ".join(f"'{name}'" for name in confounded[:5])
    remark = (
        f"{len(confounded):,} of {labels.nunique():,} labels have cells of one batch only "
        f"({named}{', …' if len(confounded) > 5 else ''}): batch and type cannot be separated there, "
        "and a correction may place such cells among other types"
    )
    return [{"rule": "batch-confounded", "remark": remark}]
