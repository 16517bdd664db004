"""Boosting with stumps for all targets at once: the variance each feature explains beyond the others.

Componentwise L2 boosting (Bühlmann & Yu 2003) with least squares. A stump is whether a feature is above
0, so only products of stumps and targets are needed, computed once. It serves the same purpose as GRNBoost2
(`boosting.py`), in seconds. Legend: N cells, R features, T targets.
"""

import numpy as np

_MIN_LENGTH = 1e-9


def stump_importances(
    x_NR: np.ndarray, y_NT: np.ndarray, pairs_RT: np.ndarray, rounds: int, rate: float
) -> np.ndarray:
    """Return the share of each target's variance that each feature's stump explains, (R, T), 0 to 1.

    Every round reduces each target's residual by `rate` times its fit on the single stump that explains most
    of it.

    Parameters
    ----------
    x_NR, y_NT
        Features, at least 0, and targets.
    pairs_RT
        bool, features used for each target; the others have importance 0.
    rounds
        Above 0.
    rate
        0 to 1.
    """
    above_NR, targets_NT = _unit_columns(x_NR > 0), _unit_columns(y_NT)
    gram_RR, product_RT = above_NR.T @ above_NR, above_NR.T @ targets_NT
    importance_RT = np.zeros(pairs_RT.shape)
    every_T = np.arange(pairs_RT.shape[1])
    for _ in range(rounds):
        best_T = np.where(pairs_RT, np.abs(product_RT), -1).argmax(axis=0)
        step_T = np.where(pairs_RT[best_T, every_T], product_RT[best_T, every_T], 0.0)
        importance_RT[best_T, every_T] += step_T**2 * (1 - (1 - rate) ** 2)
        product_RT -= rate * gram_RR[:, best_T] * step_T
    return importance_RT


def _unit_columns(values: np.ndarray) -> np.ndarray:
    """Centre columns and scale them to length 1; constant ones to 0."""
    centred = values - values.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > _MIN_LENGTH)
