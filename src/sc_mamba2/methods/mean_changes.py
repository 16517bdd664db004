"""Changes of mean expression: moments, reliability of a measured change, cells shifted by a change.

Legend: N cells, G genes, Q changes.
"""

import numpy as np
from scipy import sparse

CELLS_AT_ONCE = 512


def moments(matrix: sparse.csr_matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and unbiased variance of the columns, (G,) each, float64, without a dense copy."""
    cells = matrix.shape[0]
    doubled = matrix.astype(np.float64)
    mean_G = np.asarray(doubled.mean(axis=0)).ravel()
    square_G = np.asarray(doubled.multiply(doubled).mean(axis=0)).ravel()
    variance_G = np.maximum(square_G - mean_G**2, 0) * cells / max(1, cells - 1)
    return mean_G, variance_G


def reliability(delta_QG: np.ndarray, error_QG: np.ndarray) -> np.ndarray:
    """Return the share of each change's squared size not due to sampling noise, (Q,), 0 to 1.

    ``max(0, |delta|^2 - sum of squared errors) / |delta|^2``: the factor that shrinks a measured change to be
    closest to the true one on average (positive-part James-Stein).
    """
    size_Q = (delta_QG**2).sum(axis=1)
    real_Q = np.maximum(size_Q - error_QG.sum(axis=1), 0)
    return np.divide(real_Q, size_Q, out=np.zeros_like(size_Q), where=size_Q > 0)


def affine(
    change: np.ndarray, control_G: np.ndarray, rising_share: float, most_scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return scale and shift of every gene, so that ``scale x + shift`` moves the mean by the change.

    Decreasing genes are scaled, ``max(0, 1 + change / mean)``, which keeps zeros and non-negative values.
    Increasing genes are scaled by a share of the change, at most `most_scale` times, and shifted by the rest.

    Parameters
    ----------
    change
        (G,) or (N, G).
    control_G
        Mean of the cells before the change, at least 0.
    rising_share
        Share of an increase done by scaling, 0 to 1.
    most_scale
        At least 1.

    Returns
    -------
    scale, shift
        In the shape of `change`; the mean moves by the change, but not below 0.
    """
    expressed = np.broadcast_to(control_G > 0, change.shape)
    ratio = np.divide(change, control_G, out=np.zeros_like(change), where=expressed)
    rising = change > 0
    raised = 1 + np.minimum(rising_share * ratio, most_scale - 1)
    scale = np.where(rising, raised, np.maximum(0, 1 + ratio))
    shift = np.where(rising, np.maximum(change - (scale - 1) * control_G, 0), 0)
    return scale, shift


def mean_change(
    values: sparse.csr_matrix, change_NG: np.ndarray, rising_share: float, most_scale: float
) -> np.ndarray:
    """Return the difference of the mean of changed cells from that of the original cells, (G,).

    Parameters
    ----------
    values
        (N, G) control cells.
    change_NG
        (N, G), or (1, G) for all of them.
    rising_share, most_scale
        See `affine`.
    """
    control_G = np.asarray(values.mean(axis=0), dtype=np.float64).ravel()
    if len(change_NG) == 1:
        return np.maximum(change_NG[0], -control_G)
    dense_NG = values.toarray().astype(np.float64)
    scale_NG, shift_NG = affine(change_NG, control_G, rising_share, most_scale)
    return np.asarray((scale_NG * dense_NG + shift_NG).mean(axis=0) - control_G)


def changed_cells(
    values: sparse.csr_matrix,
    change_NG: np.ndarray,
    control_G: np.ndarray,
    rising_share: float,
    most_scale: float,
) -> sparse.csr_matrix:
    """Return the cells after a change, (N, G) float32, non-negative; see `affine`."""
    blocks = []
    for first in range(0, values.shape[0], CELLS_AT_ONCE):
        rows = slice(first, first + CELLS_AT_ONCE)
        change = change_NG if len(change_NG) == 1 else change_NG[rows]
        scale, shift = affine(change, control_G, rising_share, most_scale)
        changed_NG = scale * values[rows].toarray() + shift
        blocks.append(sparse.csr_matrix(np.maximum(changed_NG, 0).astype(np.float32)))
    return sparse.vstack(blocks, format="csr")
