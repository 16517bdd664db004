"""Conformal prediction sets, which contain the true class with a chosen probability. N, M cells, K classes."""

import numpy as np


def set_threshold(probability_MK: np.ndarray, classes_M: np.ndarray, coverage: float) -> float:
    """Return the lowest probability of a class in a cell's prediction set.

    Split conformal prediction with least ambiguous sets (Sadinle et al. 2019): the
    ``floor((M + 1) (1 - coverage))``-th smallest probability of the true class over M held-out cells. A set
    then contains the true class with probability `coverage` or more if the cells to classify are
    exchangeable with these; under a distribution shift it may not.

    Parameters
    ----------
    probability_MK
        Probabilities; rows sum to one.
    classes_M
        True classes, 0 to K - 1.
    coverage
        0 to below 1.

    Returns
    -------
    float
        0 to 1; 0, so that sets contain every class, if M is too small to guarantee the coverage.
    """
    allowed = int(np.floor((len(classes_M) + 1) * (1 - coverage) + 1e-9))
    if allowed < 1:
        return 0.0
    true_M = np.sort(probability_MK[np.arange(len(classes_M)), classes_M])
    return float(true_M[allowed - 1])


def class_sets(probability_NK: np.ndarray, threshold: float) -> np.ndarray:
    """Return the classes in each cell's set, (N, K) bool; the most probable one is always included."""
    sets_NK = probability_NK >= threshold
    sets_NK[np.arange(len(sets_NK)), probability_NK.argmax(axis=1)] = True
    return np.asarray(sets_NK)
