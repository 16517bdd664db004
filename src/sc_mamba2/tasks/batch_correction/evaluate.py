"""Scores of the corrected embedding, its baselines and ablations, on the same cells."""

from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.metrics.integration import NEIGHBOURS, integration_scores
from sc_mamba2.metrics.mixing import neighbour_mixing
from sc_mamba2.metrics.neighbours import nearest_neighbours
from sc_mamba2.reporting import Scores
from sc_mamba2.tasks.shared.batches import confounded_labels

_ASIDE = ("resolution", "silhouette_cells")  # how a score was taken, not a score


def score_embedding(
    embedding_NE: np.ndarray,
    labels: pd.Series | None,
    batches: pd.Series,
    before_ND: np.ndarray | None,
    seed: int,
) -> Scores:
    """Score one embedding.

    Parameters
    ----------
    embedding_NE
        Of all cells.
    labels
        Of all cells, ``None`` for those without one; or ``None``: nobody named any.
    batches
        Of all cells.
    before_ND
        Embedding without correction, for PCR where scib-metrics is installed.
    seed
        Seed of Leiden.

    Returns
    -------
    dict
        What `integration_scores` can give for these cells, and ``batch_mixing`` (see
        `neighbour_mixing`), which needs no labels.
    """
    scores = integration_scores(embedding_NE, labels, batches, seed, before_NE=before_ND)
    mixing = neighbour_mixing(nearest_neighbours(embedding_NE, NEIGHBOURS, seed), batches)
    scores["batch_mixing"] = mixing
    return {
        name: score for name, score in scores.items() if score is not None and name not in _ASIDE
    }


def score_all(
    embeddings: dict[str, np.ndarray],
    truth: pd.DataFrame,
    batches: pd.Series,
    before_ND: np.ndarray | None,
    seed: int,
) -> dict[str, Scores]:
    """Score embeddings by name; `truth` has the column ``label`` for the cells that have one."""
    labels = None
    if len(truth):
        column = truth["label"].reindex(batches.index)
        labels = column.astype(object).where(column.notna(), None)
    return {
        name: score_embedding(embedding, labels, batches, before_ND, seed)
        for name, embedding in embeddings.items()
    }


def describe_data(
    batches: pd.Series, truth: pd.DataFrame, reports: dict[str, Any]
) -> dict[str, Any]:
    """Say what the scores stand on: cells, batches, labels, and what makes them doubtful."""
    return {
        "cells": len(batches),
        "batches": {str(name): int(count) for name, count in batches.value_counts().items()},
        "labelled_cells": len(truth),
        "labels": int(truth["label"].nunique()) if len(truth) else 0,
        "doubts": _doubts(batches, truth),
        **reports,
    }


def _doubts(batches: pd.Series, truth: pd.DataFrame) -> list[dict[str, str]]:
    if truth.empty:
        return []
    lone = confounded_labels(batches, truth["label"])
    if not lone:
        return []
    named = ", ".join(f"'{name}'" for name in lone[:5]) + (", …" if len(lone) > 5 else "")
    return [
        _remark(
            "batch-confounded",
            f"{len(lone):,} of {truth['label'].nunique():,} labels have cells of one batch only "
            f"({named}): what is of the batch and what is of the type cannot be told apart there, and "
            "a correction may put such cells among others",
        )
    ]


def _remark(rule: str, text: str) -> dict[str, str]:
    return {"rule": rule, "remark": text}
