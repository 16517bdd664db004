"""Sets of classes that hold the true one with a chosen probability. N and M cells, K classes."""

import numpy as np


def set_threshold(probability_MK: np.ndarray, classes_M: np.ndarray, coverage: float) -> float:
    """Return the probability above which a class is in a cell's set.

    Split conformal prediction with the least ambiguous sets (Sadinle et al. 2019): of M cells that the
    probabilities were not fitted to, the ``floor((M + 1) (1 - coverage))``-th smallest probability of the true
    class. A set then holds the true class with the probability `coverage` or more, where the cells to
    call are exchangeable with these; under a shift it need not.

    Parameters
    ----------
    probability_MK
        Rows that sum to one.
    classes_M
        True classes, 0 to K - 1.
    coverage
        0 to below 1.

    Returns
    -------
    float
        0 to 1; 0, and so every class, where M is too small to promise the coverage.
    """
    allowed = int(np.floor((len(classes_M) + 1) * (1 - coverage) + 1e-9))
    if allowed < 1:
        return 0.0
    true_M = np.sort(probability_MK[np.arange(len(classes_M)), classes_M])
    return float(true_M[allowed - 1])


def class_sets(probability_NK: np.ndarray, threshold: float) -> np.ndarray:
    """Return which classes are in each cell's set, (N, K) bool; the best one always is."""
    sets_NK = probability_NK >= threshold
    sets_NK[np.arange(len(sets_NK)), probability_NK.argmax(axis=1)] = True
    return np.asarray(sets_NK)
