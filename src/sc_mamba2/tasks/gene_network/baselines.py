"""Scores of pairs without a model: correlation, and trees that regress targets on regulators.

Legend: N cells, R regulators, T targets.
"""

import numpy as np
from scipy.stats import rankdata
from sklearn.ensemble import GradientBoostingRegressor

from sc_mamba2.tasks.shared.progress import training_progress


def pearson(x_NR: np.ndarray, y_NT: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each pair, (R, T), -1 to 1; 0 where one is constant."""
    return _standard(x_NR).T @ _standard(y_NT)


def spearman(x_NR: np.ndarray, y_NT: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of each pair, (R, T), -1 to 1; 0 where one is constant."""
    return pearson(rankdata(x_NR, axis=0), rankdata(y_NT, axis=0))


def boosted_importances(
    x_NR: np.ndarray, y_NT: np.ndarray, pairs_RT: np.ndarray, trees: int, seed: int
) -> np.ndarray:
    """Return the importance of each regulator for each target by boosted trees, (R, T), 0 to 1.

    In the manner of GRNBoost2 (Moerman et al. 2019): a regression of every target on all regulators
    but itself, rate 0.01, nine tenths of the cells a tree; here with a fixed number of trees.
    """
    found_RT = np.zeros(pairs_RT.shape)
    with training_progress("boosting", unit="target") as on_step:
        for at in range(pairs_RT.shape[1]):
            own = pairs_RT[:, at]
            fitted = GradientBoostingRegressor(
                learning_rate=0.01,
                n_estimators=trees,
                max_features=0.1,
                subsample=0.9,
                random_state=seed,
            )
            if own.any() and np.ptp(y_NT[:, at]) > 0:
                fitted.fit(x_NR[:, own], y_NT[:, at])
                found_RT[own, at] = fitted.feature_importances_
            on_step(at + 1, pairs_RT.shape[1])
    return found_RT


def _standard(values: np.ndarray) -> np.ndarray:
    """Centre columns and bring them to length 1; constant ones to 0."""
    centred = values - values.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-12)
