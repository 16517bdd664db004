"""Slow, plain twins of what `sc_mamba2.tokens` does for many cells at once: one cell at a time."""

import numpy as np


def bin_cell(values: np.ndarray, n_bins: int) -> np.ndarray:
    """Bin the non-zero values of one cell by its own quantiles.

    With ``n_bins = 51`` the 49 inner quantiles ``k / 50`` (linear interpolation) are the borders of
    the bins 1 to 50; a value on a border belongs to the bin on its right, so equal values share
    one bin. Only the order of the values matters, so counts and their logarithm give the same bins.

    Parameters
    ----------
    values
        (L,) positive values of one cell.
    n_bins
        Number of bins with the bin of zero, 3 or more.

    Returns
    -------
    ndarray
        (L,) int16, from 1 to ``n_bins - 1``.
    """
    if not len(values):
        return np.zeros(0, dtype=np.int16)
    ranked = np.sort(values.astype(np.float64))
    # In whole numbers: a position rounded to just above a value would put that value one bin lower.
    below, rest = np.divmod(np.arange(1, n_bins - 1) * (len(ranked) - 1), n_bins - 1)
    above = np.minimum(below + 1, len(ranked) - 1)
    borders = ranked[below] + (ranked[above] - ranked[below]) * (rest / (n_bins - 1))
    return (1 + np.searchsorted(borders, values, side="right")).astype(np.int16)
