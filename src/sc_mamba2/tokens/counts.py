"""Estimate counts from log-normalised values.

T entries of some cells; cell i owns ``offsets[i]:offsets[i + 1]`` of them.
"""

import numpy as np


def estimate_counts(values_T: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Estimate cells' counts from their log-normalised values.

    With ``x = exp(v) - 1``, the cell's smallest x is one count, and a gene has ``round(x / min x)``. The
    estimate is exact if some gene of the cell has one count, as nearly always in sparse droplet data;
    otherwise the cell appears shallower than it was, in units of its smallest count.

    Parameters
    ----------
    values_T
        Positive, ``log(1 + x)`` with x proportional to the counts within a cell.
    offsets
        (N + 1,), first entry 0, last entry T.

    Returns
    -------
    ndarray
        (T,) int64, at least 1.
    """
    lengths = np.diff(offsets)
    some = lengths > 0
    x_T = np.expm1(values_T.astype(np.float64))
    least = np.minimum.reduceat(x_T, offsets[:-1][some]) if some.any() else x_T[:0]
    return np.rint(x_T / np.repeat(least, lengths[some])).astype(np.int64)
