"""Value bins: a cell's non-zero values become integers from 1 to n_bins - 1; zero is bin 0.

Works on many cells at once, as ragged rows: cell i owns the values ``offsets[i]:offsets[i + 1]``.
"""

from itertools import pairwise

import numpy as np

from sc_mamba2.tokens.counts import estimate_counts
from sc_mamba2.tokens.options import TokenizerRules

_LOW = np.uint64(0xFFFFFFFF)


def rank_cells(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Sort every cell's values.

    The bit pattern of a positive float32 rises with its value, so value and position fit into one
    integer; sorting these is several times faster than argsort.

    Parameters
    ----------
    values
        (T,) float32, positive; fewer than 2^32.
    offsets
        (N + 1,) int64, ascending from 0 to T.

    Returns
    -------
    ndarray
        (T,) int64 positions in `values`: cell by cell, within a cell by ascending value, of ties
        the later first. So a cell's last k are its k highest, preferring earlier ones.
    """
    assert values.dtype == np.float32
    keys = values.view(np.uint32).astype(np.uint64) << np.uint64(32)
    keys |= _LOW - np.arange(len(values), dtype=np.uint64)
    for start, stop in pairwise(offsets.tolist()):
        keys[start:stop].sort()
    return (_LOW - (keys & _LOW)).astype(np.int64)


def bin_cells(
    values: np.ndarray, offsets: np.ndarray, order: np.ndarray, n_bins: int
) -> np.ndarray:
    """Bin the non-zero values of every cell by the cell's own quantiles.

    With ``n_bins = 51`` the 49 inner quantiles ``k / 50`` (linear interpolation) are the borders of
    the bins 1 to 50; a value on a border belongs to the bin above, so equal values share one bin.
    Only the order of the values matters, so counts and their logarithm have the same bins.

    No border is computed: a border between two unequal neighbours is above the lower and below the
    upper one; any other equals a value, and is placed at the first value equal to it.

    Parameters
    ----------
    values, offsets, order
        As in `rank_cells`, and its result for them.
    n_bins
        Number of bins including the bin of zero, 3 or more.

    Returns
    -------
    ndarray
        (T,) int16, from 1 to ``n_bins - 1``.
    """
    ranked = values[order]
    starts, lengths = offsets[:-1], np.diff(offsets)
    starts, lengths = starts[lengths > 0], lengths[lengths > 0]
    new = np.ones(len(ranked), dtype=bool)
    new[1:] = ranked[1:] != ranked[:-1]
    new[starts] = True
    first_equal = np.maximum.accumulate(np.where(new, np.arange(len(ranked), dtype=np.int32), 0))
    below, rest = np.divmod(np.arange(1, n_bins - 1) * (lengths[:, None] - 1), n_bins - 1)
    below += starts[:, None]
    above = below + (rest > 0)
    between = ranked[above] > ranked[below]
    borders = np.where(between, above, first_equal[below])
    # Add 1 at every border and reset to 1 where a cell starts: one running sum for all cells.
    steps = np.bincount(borders.ravel(), minlength=len(ranked))
    steps[starts[1:]] -= n_bins - 2
    bins = np.empty(len(ranked), dtype=np.int16)
    bins[order] = 1 + np.cumsum(steps, dtype=np.int32)
    return bins


def bins_of(
    values: np.ndarray, offsets: np.ndarray, order: np.ndarray, rules: TokenizerRules
) -> np.ndarray:
    """Bin values by the rules: by the cell's quantiles, or by its counts up to the highest bin.

    Parameters and result are those of `bin_cells`.
    """
    if rules.bins == "quantiles":
        return bin_cells(values, offsets, order, rules.n_bins)
    return np.minimum(estimate_counts(values, offsets), rules.n_bins - 1).astype(np.int16)
