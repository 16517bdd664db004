"""Predict labelled cells that the experts of a consensus did not see."""

from typing import NamedTuple

import numpy as np
from sklearn.model_selection import GroupKFold, StratifiedKFold

from sc_mamba2.methods.logistic_regression import allow_rare_classes
from sc_mamba2.tasks.annotation.experts import Readings, predict_with_experts
from sc_mamba2.tasks.annotation.params import ConsensusParams, Expert
from sc_mamba2.tasks.shared.progress import training_progress


class FoldPredictions(NamedTuple):
    """Predictions of M cells by E experts fitted to the other folds.

    Attributes
    ----------
    predicted_EMK
        Probabilities of K classes by expert.
    classes_M
        The true classes.
    distance_M
        Distance to the nearest type, see `ExpertPredictions`.
    """

    predicted_EMK: np.ndarray
    classes_M: np.ndarray
    distance_M: np.ndarray


def predict_folds(
    cells: Readings,
    classes_M: np.ndarray,
    n_classes: int,
    methods: tuple[Expert, ...],
    params: ConsensusParams,
    seed: int,
    batches_M: np.ndarray | None = None,
) -> FoldPredictions | None:
    """Predict each fold of labelled cells by experts fitted to the other folds.

    Folds are random parts of each class, or whole batches if `batches_M` (M,) is given. A cell whose class the
    other folds lack cannot be predicted and is dropped. ``None``: fewer than two folds.
    """
    folds = min(params.folds, len(classes_M if batches_M is None else set(batches_M)))
    if folds < 2:
        return None
    split = StratifiedKFold if batches_M is None else GroupKFold
    predicted_EMK = np.zeros((len(methods), len(classes_M), n_classes))
    distance_M, known_M = np.zeros(len(classes_M)), np.zeros(len(classes_M), dtype=bool)
    parts = split(folds, shuffle=True, random_state=seed).split(classes_M, classes_M, batches_M)
    with allow_rare_classes(), training_progress("leaving out", unit="part") as on_step:
        for done, (rest, out) in enumerate(parts, start=1):
            inputs = cells.take(rest), classes_M[rest], n_classes, cells.take(out)
            predictions = predict_with_experts(*inputs, params, seed)
            known_M[out] = np.isin(classes_M[out], classes_M[rest])
            distance_M[out] = predictions.distance_N
            predicted_EMK[:, out] = np.stack([predictions.by_expert[name] for name in methods])
            on_step(done, folds)
    return FoldPredictions(predicted_EMK[:, known_M], classes_M[known_M], distance_M[known_M])
