"""Kernel ridge regression with a mixture of a linear and a Gaussian kernel.

All hyperparameters are chosen by cross-validation. Legend: N cells, S source features, P target features,
F coordinates, R strengths.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.model_selection import KFold


@dataclass(frozen=True, eq=False)
class KernelRidge:
    """``y = bias + x readout + sum_n weight_n exp(-curvature |(f - f_n) scale|^2)``.

    `share` is that of the Gaussian kernel, `error` the cross-validated mean squared error over the variance.
    """

    readout_SP: np.ndarray
    weight_NP: np.ndarray
    bias_P: np.ndarray
    scale_F: np.ndarray
    curvature: float
    share: float
    error: float


def fit_kernel_ridge(
    values_NS: sparse.csr_matrix,
    parts_NF: Sequence[np.ndarray],
    target_NP: np.ndarray,
    shares: Sequence[float],
    curvatures: Sequence[float],
    strengths: Sequence[float],
    folds: int,
    seed: int,
) -> KernelRidge:
    """Fit target features from source features and coordinates of the cells.

    ``K = (1 - s) X Xᵀ / t + s exp(-c |f - f'|^2)``, X centred, t such that the linear part has a mean
    diagonal of 1; ``α = (K + λ I)⁻¹ (Y - mean)``. With s = 0 it is ridge regression. s and c are chosen by
    the error over all target features, λ separately for each.

    Parameters
    ----------
    values_NS
        Source features; without columns there is no linear part.
    parts_NF
        Coordinates in parts; each part is scaled to a total variance of 1.
    target_NP
        Target features.
    shares, curvatures, strengths
        Candidates of s, c and λ, at least 0.
    folds
        Folds of the cross-validation, at least 2.
    seed
        Seed of the folds.
    """
    numbers_NF = np.concatenate(parts_NF, axis=1)
    scale_F = np.concatenate([np.full(part.shape[1], _scale(part)) for part in parts_NF])
    squares_NN = _squares(numbers_NF * scale_F)
    linear_NN, mean_S, size = _linear(values_NS)

    def kernel(share: float, curvature: float) -> np.ndarray:
        mixed_NN: np.ndarray = (1 - share) * linear_NN + share * np.exp(-curvature * squares_NN)
        return mixed_NN

    if values_NS.shape[1] == 0:
        shares = (1.0,)
    pairs = [(share, c) for share in shares if share > 0 for c in curvatures]
    if 0.0 in shares:
        pairs.insert(0, (0.0, curvatures[0]))
    errors = [_cross_validate(kernel(*pair), target_NP, strengths, folds, seed) for pair in pairs]
    means = [float(errors_RP.min(axis=0).mean()) for errors_RP in errors]
    best = int(np.argmin(means))
    share, curvature = pairs[best]
    mean_P = target_NP.mean(axis=0)
    strength_P = np.asarray(strengths)[errors[best].argmin(axis=0)]
    dual_NP = _solve(kernel(share, curvature), target_NP - mean_P, strength_P)
    # The centred linear kernel as weights of the values.
    linear_NP = dual_NP * (1 - share) / size
    readout_SP = np.asarray(values_NS.T @ linear_NP) - np.outer(mean_S, linear_NP.sum(axis=0))
    bias_P = mean_P - mean_S @ readout_SP
    return KernelRidge(readout_SP, dual_NP * share, bias_P, scale_F, curvature, share, means[best])


def _scale(part_NF: np.ndarray) -> float:
    total = float(part_NF.var(axis=0).sum())
    return 1 / np.sqrt(total) if total > 0 else 0.0


def _squares(numbers_NF: np.ndarray) -> np.ndarray:
    norms = (numbers_NF**2).sum(axis=1)
    return np.maximum(norms[:, None] + norms - 2 * numbers_NF @ numbers_NF.T, 0)


def _linear(values_NS: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the centred linear kernel scaled to mean diagonal 1, the columns' means, and the scale."""
    mean_S = np.asarray(values_NS.mean(axis=0)).ravel()
    raw = (values_NS @ values_NS.T).toarray()
    across = np.asarray(values_NS @ mean_S)
    kernel = raw - across[:, None] - across + mean_S @ mean_S
    size = max(float(np.trace(kernel)) / len(kernel), 1e-12)
    return kernel / size, mean_S, size


def _cross_validate(
    kernel_NN: np.ndarray, target_NP: np.ndarray, strengths: Sequence[float], folds: int, seed: int
) -> np.ndarray:
    """Return the mean squared error over the variance, for each strength and feature, (R, P)."""
    errors_RP = np.zeros((len(strengths), target_NP.shape[1]))
    splits = KFold(min(folds, len(target_NP)), shuffle=True, random_state=seed)
    for train, test in splits.split(kernel_NN):
        mean_P = target_NP[train].mean(axis=0)
        values_N, vectors_NN = np.linalg.eigh(kernel_NN[np.ix_(train, train)])
        rotated_NP = vectors_NN.T @ (target_NP[train] - mean_P)
        across = kernel_NN[np.ix_(test, train)] @ vectors_NN
        for place, strength in enumerate(strengths):
            shrunk_NP = rotated_NP / (np.maximum(values_N, 0) + strength)[:, None]
            predicted_NP = mean_P + across @ shrunk_NP
            errors_RP[place] += ((predicted_NP - target_NP[test]) ** 2).sum(axis=0)
    variance_P = np.maximum(target_NP.var(axis=0), 1e-12)
    return errors_RP / len(target_NP) / variance_P


def _solve(kernel_NN: np.ndarray, target_NP: np.ndarray, strength_P: np.ndarray) -> np.ndarray:
    values_N, vectors_NN = np.linalg.eigh(kernel_NN)
    rotated_NP = vectors_NN.T @ target_NP
    return vectors_NN @ (rotated_NP / (np.maximum(values_N, 0)[:, None] + strength_P))
