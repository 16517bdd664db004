"""Counts, estimated from log-normalised values, and cells thinned to a share of them.

T entries of some cells; cell i owns ``offsets[i]:offsets[i + 1]`` of them.
"""

import numpy as np


def estimate_counts(values_T: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Estimate the counts of cells of which log-normalised values are known.

    With ``x = exp(v) - 1``, the cell's smallest x is one count, and a gene has ``round(x / min x)``. The
    estimate is exact where some gene of the cell has one count, as nearly always in sparse droplet data;
    where none has, the cell is taken as shallower than it was, in units of its smallest count.

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
