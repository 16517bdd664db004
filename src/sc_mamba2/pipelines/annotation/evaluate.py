"""The score of the model, its baselines and its ablations, on the same cells, in one table."""

from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.cells import keys
from sc_mamba2.metrics.classification import classification_metrics, expected_calibration_error


def score_model(calls: pd.DataFrame, truth: pd.Series) -> dict[str, float]:
    """Score the model's calls.

    Parameters
    ----------
    calls
        From `call_types`.
    truth
        Class names of cells of `calls`; empty where the query has no labels.

    Returns
    -------
    dict
        The classification metrics, the expected calibration error, and the share of cells left
        unassigned; without a truth the share alone.
    """
    scores = {"unassigned_share": float(calls[keys.UNASSIGNED].mean())}
    if truth.empty:
        return scores
    chosen = calls.loc[truth.index]
    names, confidence = chosen[keys.CELL_TYPE].to_numpy(), chosen[keys.CONFIDENCE].to_numpy()
    calibration = expected_calibration_error(names == truth.to_numpy(), confidence)
    return (
        classification_metrics(truth.to_numpy(), names)
        | {"expected_calibration_error": calibration}
        | scores
    )


def score_others(calls: pd.DataFrame, truth: pd.Series) -> dict[str, dict[str, float]]:
    """Score every column of a table of calls; nothing without a truth."""
    if truth.empty:
        return {}
    return {
        name: classification_metrics(truth.to_numpy(), calls.loc[truth.index, name].to_numpy())
        for name in calls.columns
    }


def describe_data(
    calls: pd.DataFrame, truth: pd.Series, labels: tuple[str, ...], reports: dict[str, Any]
) -> dict[str, Any]:
    """Say what the scores stand on: cells, classes, and the share of cells of a known class."""
    known = float(np.isin(truth.to_numpy(), labels).mean()) if len(truth) else None
    return {
        "query_cells": len(calls),
        "scored_cells": len(truth),
        "classes": len(labels),
        "known_share": known,
        **reports,
    }


def scores_by_method(metrics: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the scores of ``metrics.json`` by method, in the order in which tables show them."""
    rows = {"model (all paths)": metrics["model"]}
    rows |= {f"baseline: {name}": scores for name, scores in metrics["baselines"].items()}
    return rows | {f"ablation: {name}": scores for name, scores in metrics["ablations"].items()}
