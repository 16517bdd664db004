"""Metrics of predicting or matching one modality from another. N cells, P features, D width."""

import numpy as np


def feature_scores(predicted_NP: np.ndarray, actual_NP: np.ndarray) -> dict[str, float]:
    """Score predicted features, (N, P) finite numbers.

    Returns
    -------
    dict
        ``pearson``: the mean over features of the correlation over cells; features that do not vary are
        left out, constant predictions count as 0. ``rmse``: the mean over features of the root mean square
        error, in the units of the values.
    """
    correlation_P = pearson_of_features(predicted_NP, actual_NP)
    error_P = np.sqrt(np.square(predicted_NP - actual_NP).mean(axis=0))
    known = np.isfinite(correlation_P)
    pearson = float(correlation_P[known].mean()) if known.any() else 0.0
    return {"pearson": pearson, "rmse": float(error_P.mean())}


def pearson_of_features(predicted_NP: np.ndarray, actual_NP: np.ndarray) -> np.ndarray:
    """Return each feature's correlation over cells, (P,), -1 to 1; NaN if it does not vary."""
    predicted = np.asarray(predicted_NP, np.float64) - np.mean(
        predicted_NP, axis=0, dtype=np.float64
    )
    actual = np.asarray(actual_NP, np.float64) - np.mean(actual_NP, axis=0, dtype=np.float64)
    spread_P = np.sqrt((actual**2).sum(axis=0))
    own_P = np.sqrt((predicted**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation_P = (predicted * actual).sum(axis=0) / (own_P * spread_P)
    flat_P = own_P <= 1e-9 * (np.abs(predicted_NP).max(axis=0) + 1e-12) * np.sqrt(len(predicted))
    return np.where(spread_P > 0, np.where(flat_P, 0.0, correlation_P), np.nan)


CELLS_AT_ONCE = 1024


def foscttm(one_ND: np.ndarray, other_ND: np.ndarray) -> float:
    """Return the fraction of samples closer than the true match, 0 to 1; lower is better.

    For each cell of one embedding, the share of the N - 1 other cells whose vectors in the other embedding
    are closer to it than its own (ties count half), mean over the cells and both directions: 0 if every cell
    finds itself, 0.5 by chance (Liu et al. 2019, "Jointly embedding multiple single-cell omics
    measurements"). Both are (N, D) of the same cells in the same order, N at least 2.
    """
    assert one_ND.shape == other_ND.shape and len(one_ND) > 1
    return (_one_way(one_ND, other_ND) + _one_way(other_ND, one_ND)) / 2


def _one_way(one_ND: np.ndarray, other_ND: np.ndarray) -> float:
    one, other = (np.asarray(part, np.float64) for part in (one_ND, other_ND))
    norms = (other**2).sum(axis=1)
    total, cells = 0.0, len(one)
    for start in range(0, cells, CELLS_AT_ONCE):
        block = one[start : start + CELLS_AT_ONCE]
        squares = norms - 2 * block @ other.T  # without the block's own norms, constant per row
        own = squares[np.arange(len(block)), start + np.arange(len(block))][:, None]
        total += float((squares < own).sum() + ((squares == own).sum() - len(block)) / 2)
    return total / (cells * (cells - 1))
