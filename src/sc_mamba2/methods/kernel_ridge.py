"""Fits the imputers: kernel ridge whose kernel is a mixture of a linear one and one of the model.

Everything is chosen by cross-validation inside the cells given. Legend: N cells, P features, F numbers
of the model.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.model_selection import KFold

from sc_mamba2.tasks.multiomics.params import ImputationParams


@dataclass(frozen=True, eq=False)
class Fit:
    """What was found: ``y = bias + x readout + kernel weights``, see `Imputer`."""

    readout_SP: np.ndarray
    weight_NP: np.ndarray
    bias_P: np.ndarray
    scale_F: np.ndarray
    curvature: float
    share: float
    error: float


def fit_imputer(
    values_NS: sparse.csr_matrix,
    parts_NF: list[np.ndarray],
    target_NP: np.ndarray,
    params: ImputationParams,
    seed: int,
) -> Fit:
    """Fit a modality to the values of others and to what the model makes of them.

    ``K = (1 - s) X Xᵀ / t + s exp(-c |f - f'|^2)``, X centred, t such that the first part has a mean of 1 on
    its diagonal; ``α = (K + λ I)⁻¹ (Y - mean)``. With s = 0 that is ridge regression. s and c are chosen by
    the error over all features, λ for each feature by its own.

    Parameters
    ----------
    values_NS
        Values of the modalities that are seen; no column: there is no linear part.
    parts_NF
        Embedding and, where there is one, trunk state; each is scaled to a variance of 1 in all.
    target_NP
        Values of the modality to be told.
    params
        Grids and folds.
    seed
        Of the folds.
    """
    numbers_NF = np.concatenate(parts_NF, axis=1)
    scale_F = np.concatenate([np.full(part.shape[1], _scale(part)) for part in parts_NF])
    squares_NN = _squares(numbers_NF * scale_F)
    linear_NN, mean_S, size = _linear(values_NS)
    best: tuple[float, float, float, np.ndarray] | None = None
    for share, curvature in _choices(params, has_values=values_NS.shape[1] > 0):
        kernel = (1 - share) * linear_NN + share * np.exp(-curvature * squares_NN)
        errors_RP = _cross_validate(kernel, target_NP, params, seed)
        error = float(errors_RP.min(axis=0).mean())
        if best is None or error < best[0]:
            best = (error, share, curvature, errors_RP.argmin(axis=0))
    assert best is not None
    error, share, curvature, strengths_P = best
    kernel = (1 - share) * linear_NN + share * np.exp(-curvature * squares_NN)
    mean_P = target_NP.mean(axis=0)
    dual_NP = _solve(kernel, target_NP - mean_P, params.strengths, strengths_P)
    # The centred linear kernel, written out as weights of the values.
    linear_NP = dual_NP * (1 - share) / size
    readout_SP = np.asarray(values_NS.T @ linear_NP) - np.outer(mean_S, linear_NP.sum(axis=0))
    bias_P = mean_P - mean_S @ readout_SP
    return Fit(readout_SP, dual_NP * share, bias_P, scale_F, curvature, share, error)


def _choices(params: ImputationParams, has_values: bool) -> list[tuple[float, float]]:
    shares = params.shares if has_values else (1.0,)
    curved = [(share, c) for share in shares if share > 0 for c in params.curvatures]
    return [(0.0, params.curvatures[0])] * (0.0 in shares) + curved


def _scale(part_NF: np.ndarray) -> float:
    total = float(part_NF.var(axis=0).sum())
    return 1 / np.sqrt(total) if total > 0 else 0.0


def _squares(numbers_NF: np.ndarray) -> np.ndarray:
    norms = (numbers_NF**2).sum(axis=1)
    return np.maximum(norms[:, None] + norms - 2 * numbers_NF @ numbers_NF.T, 0)


def _linear(values_NS: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the centred linear kernel of mean diagonal 1, the columns' means, and its size before."""
    mean_S = np.asarray(values_NS.mean(axis=0)).ravel()
    raw = (values_NS @ values_NS.T).toarray()
    across = np.asarray(values_NS @ mean_S)
    kernel = raw - across[:, None] - across + mean_S @ mean_S
    size = max(float(np.trace(kernel)) / len(kernel), 1e-12)
    return kernel / size, mean_S, size


def _cross_validate(
    kernel: np.ndarray, target_NP: np.ndarray, params: ImputationParams, seed: int
) -> np.ndarray:
    """Return the mean squared error over the variance, for each strength and feature, (R, P)."""
    errors_RP = np.zeros((len(params.strengths), target_NP.shape[1]))
    folds = min(params.folds, len(target_NP))
    for train, test in KFold(folds, shuffle=True, random_state=seed).split(kernel):
        mean_P = target_NP[train].mean(axis=0)
        values_N, vectors_NN = np.linalg.eigh(kernel[np.ix_(train, train)])
        turned_NP = vectors_NN.T @ (target_NP[train] - mean_P)
        across = kernel[np.ix_(test, train)] @ vectors_NN
        for place, strength in enumerate(params.strengths):
            told = mean_P + across @ (turned_NP / (np.maximum(values_N, 0) + strength)[:, None])
            errors_RP[place] += ((told - target_NP[test]) ** 2).sum(axis=0)
    variance_P = np.maximum(target_NP.var(axis=0), 1e-12)
    return errors_RP / len(target_NP) / variance_P


def _solve(
    kernel: np.ndarray, target_NP: np.ndarray, strengths: tuple[float, ...], chosen_P: np.ndarray
) -> np.ndarray:
    values_N, vectors_NN = np.linalg.eigh(kernel)
    strength_P = np.asarray(strengths)[chosen_P]
    turned_NP = vectors_NN.T @ target_NP
    return vectors_NN @ (turned_NP / (np.maximum(values_N, 0)[:, None] + strength_P))
