"""Boosted regression trees of several targets on several features.

Legend: N cells, R features, T targets.
"""

from collections.abc import Callable

import numpy as np
from sklearn.ensemble import GradientBoostingRegressor


def boosted_importances(
    x_NR: np.ndarray,
    y_NT: np.ndarray,
    pairs_RT: np.ndarray,
    trees: int,
    seed: int,
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> np.ndarray:
    """Return the importance of each feature for each target, (R, T), 0 to 1.

    As in GRNBoost2 (Moerman et al. 2019): learning rate 0.01, a tenth of the features per split, nine
    tenths of the cells per tree; but with a fixed number of trees.

    Parameters
    ----------
    x_NR, y_NT
        Features and targets.
    pairs_RT
        bool, features used for each target; the others have importance 0.
    trees
        Trees per target, above 0.
    seed
        Seed of the draws of features and cells.
    on_step
        Called after each target with its number, from 1, and the number of targets.
    """
    importance_RT = np.zeros(pairs_RT.shape)
    for at, own_R in enumerate(pairs_RT.T):
        if own_R.any() and np.ptp(y_NT[:, at]) > 0:
            fitted = GradientBoostingRegressor(
                learning_rate=0.01,
                n_estimators=trees,
                max_features=0.1,
                subsample=0.9,
                random_state=seed,
            ).fit(x_NR[:, own_R], y_NT[:, at])
            importance_RT[own_R, at] = fitted.feature_importances_
        on_step(at + 1, pairs_RT.shape[1])
    return importance_RT
