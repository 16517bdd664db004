"""How good an embedding is at keeping cells of a type together: one function for every method."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from sc_mamba2.cells import keys
from sc_mamba2.metrics.classification import classification_metrics
from sc_mamba2.metrics.integration import integration_scores
from sc_mamba2.tasks.embedding.encode import BATCH, LABEL
from sc_mamba2.tasks.embedding.params import EvaluationParams
from sc_mamba2.tasks.embedding.sample import SIMPLE, UNTRAINED

METHODS = {"model": keys.EMBEDDING, **SIMPLE, "untrained": UNTRAINED}


def score_methods(
    sample: AnnData, params: EvaluationParams, seed: int
) -> dict[str, dict[str, float]]:
    """Score the model's embedding and those beside it, on the same cells.

    Returns
    -------
    dict
        Scores by method (``model``, ``pca``, ``harmony``, ``untrained``), of those that the sample has.
    """
    return {
        name: score_embedding(sample.obsm[place], sample.obs, params, seed)
        for name, place in METHODS.items()
        if place in sample.obsm
    }


def score_embedding(
    vectors: np.ndarray, obs: pd.DataFrame, params: EvaluationParams, seed: int
) -> dict[str, float]:
    """Score one embedding: types kept, batches mixed, and the votes of nearest neighbours.

    The votes are cross-validated; the rest is `integration_scores`.

    Parameters
    ----------
    vectors
        (n, D).
    obs
        n rows, with ``label`` and ``batch`` where they are known.
    params
        Neighbours and folds.
    seed
        Seed of the folds.

    Returns
    -------
    dict
        ``knn_accuracy`` and ``knn_macro_f1`` of the labels, 0 to 1, higher is better;
        ``knn_batch_accuracy`` of the batches, lower is better mixed; ``avg_bio``, ``avg_batch`` and
        their parts. A key that is absent, or has fewer than two classes, is not scored.
    """
    labels, batches = (obs.get(key) for key in (LABEL, BATCH))
    found = integration_scores(vectors, labels, batches, seed)
    scores = {
        name: value
        for name, value in found.items()
        if value is not None and name not in ("resolution", "silhouette_cells")
    }
    if (voted := _vote(vectors, obs, LABEL, params, seed)) is not None:
        scores |= {"knn_accuracy": voted["accuracy"], "knn_macro_f1": voted["macro_f1"]}
    if (voted := _vote(vectors, obs, BATCH, params, seed)) is not None:
        scores["knn_batch_accuracy"] = voted["accuracy"]
    return scores


def score_transfer(calls: pd.DataFrame, obs: pd.DataFrame) -> dict[str, float]:
    """Score the types that came from an index, over all cells with a label of their own."""
    scores = {"unassigned_share": float(calls[keys.UNASSIGNED].mean())}
    if LABEL not in obs or not (known := obs[LABEL].notna().to_numpy()).any():
        return scores
    truth = obs.loc[known, LABEL].to_numpy(dtype=str)
    found = classification_metrics(truth, calls.loc[known, keys.CELL_TYPE].to_numpy(dtype=str))
    named = ("accuracy", "macro_f1")
    return scores | {f"transfer_{name}": found[name] for name in named}


def _vote(
    vectors: np.ndarray, obs: pd.DataFrame, key: str, params: EvaluationParams, seed: int
) -> dict[str, Any] | None:
    if key not in obs:
        return None
    known = obs[key].notna().to_numpy()
    classes = obs.loc[known, key].to_numpy(dtype=str)
    _, counts = np.unique(classes, return_counts=True)
    if len(counts) < 2 or counts.max() < 2:
        return None
    folds = min(params.folds, int(counts.max()))
    learnt = len(classes) - -(-len(classes) // folds)  # cells of the smallest training part
    voters = KNeighborsClassifier(max(1, min(params.neighbours, learnt)))
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # Classes rarer than the folds are spread as well as they can be.
        warnings.filterwarnings("ignore", message="The least populated class")
        voted = cross_val_predict(voters, vectors[known], classes, cv=split)
    return classification_metrics(classes, voted)
