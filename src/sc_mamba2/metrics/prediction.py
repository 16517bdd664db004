"""How well features are told: correlation and error of each, over cells. N cells, P features."""

import numpy as np


def feature_scores(told_NP: np.ndarray, actual_NP: np.ndarray) -> dict[str, float]:
    """Score what is told of features.

    Parameters
    ----------
    told_NP, actual_NP
        (N, P) finite numbers.

    Returns
    -------
    dict
        ``pearson``: the mean over features of the correlation over cells; a feature that does not vary in
        the cells is left out, one that is told as a constant counts as 0. ``rmse``: the mean over
        features of the root mean square error, in the units of the values.
    """
    correlation_P = pearson_of_features(told_NP, actual_NP)
    error_P = np.sqrt(np.square(told_NP - actual_NP).mean(axis=0))
    known = np.isfinite(correlation_P)
    pearson = float(correlation_P[known].mean()) if known.any() else 0.0
    return {"pearson": pearson, "rmse": float(error_P.mean())}


def pearson_of_features(told_NP: np.ndarray, actual_NP: np.ndarray) -> np.ndarray:
    """Return each feature's correlation over cells, (P,): NaN where it does not vary, -1 to 1 else."""
    told = np.asarray(told_NP, np.float64) - np.mean(told_NP, axis=0, dtype=np.float64)
    actual = np.asarray(actual_NP, np.float64) - np.mean(actual_NP, axis=0, dtype=np.float64)
    spread_P = np.sqrt((actual**2).sum(axis=0))
    own_P = np.sqrt((told**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation_P = (told * actual).sum(axis=0) / (own_P * spread_P)
    flat_P = own_P <= 1e-9 * (np.abs(told_NP).max(axis=0) + 1e-12) * np.sqrt(len(told))
    return np.where(spread_P > 0, np.where(flat_P, 0.0, correlation_P), np.nan)
