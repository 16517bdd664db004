"""Optimal shrinkage of singular values in the presence of noise."""

import numpy as np


def shrinkage(singular_R: np.ndarray, shape: tuple[int, int], left: float) -> np.ndarray:
    """Return the factor on each singular value that brings the matrix closest to the noise-free one.

    For a low-rank matrix in noise of standard deviation σ, N x S with ``β = min / max`` of its sides and
    ``y = s / (σ √max)``, the best factor in squared error is
    ``√((y² - β - 1)² - 4β) / y²`` above ``y = 1 + √β``, else 0 (Gavish and Donoho 2017, "Optimal
    shrinkage of singular values"). σ² is the residual sum of squares over its degrees of freedom.

    Parameters
    ----------
    singular_R
        The largest singular values, descending.
    shape
        N and S.
    left
        Residual sum of squares, at least 0.

    Returns
    -------
    ndarray
        (R,) 0 to 1.
    """
    cells, features = shape
    rank = len(singular_R)
    free = max(1.0, float((cells - rank) * (features - rank)))
    noise = np.sqrt(max(left, 0.0) / free)
    if noise == 0:
        return np.ones(rank)
    beta = min(shape) / max(shape)
    y_R = singular_R / (noise * np.sqrt(max(shape)))
    inside_R = np.maximum((y_R**2 - beta - 1) ** 2 - 4 * beta, 0)
    return np.where(y_R > 1 + np.sqrt(beta), np.sqrt(inside_R) / y_R**2, 0.0)
