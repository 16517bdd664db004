"""Labels and batches as integer codes, silhouette widths, and stratified samples of cells.

Legend: N cells, D width of the embedding.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from sklearn import config_context
from sklearn.metrics import silhouette_samples

from sc_mamba2.cells.labels import label_text

MISSING = -1

Groups: TypeAlias = Sequence[Any] | np.ndarray | pd.Series | pd.Categorical


def group_codes(groups: Groups) -> np.ndarray:
    """Return group codes of N cells, (N,) int64, from 0 in the order of their names; -1 for missing.

    ``None``, NaN, NA and blank text are missing.
    """
    column = pd.Series(groups).reset_index(drop=True)
    codes, _ = pd.factorize(label_text(column).reindex(column.index), sort=True)
    return codes.astype(np.int64)


def dense_codes(codes: np.ndarray) -> np.ndarray:
    """Renumber the codes from 0 without gaps."""
    return np.unique(codes, return_inverse=True)[1]


MAX_CELLS = 20_000  # half a minute on one core at a width of 50


def silhouette_widths(embedding_ND: np.ndarray, groups_N: np.ndarray) -> np.ndarray | None:
    """Return the silhouette width of every cell, (N,) from -1 to 1.

    ``(b - a) / max(a, b)`` with a the mean Euclidean distance to the other cells of its group and b
    the smallest mean distance to the cells of another group; 0 for a cell that is alone in its
    group (Rousseeuw 1987, "Silhouettes"). ``None`` if there is one group, or one per cell. Time grows with
    N squared times D; distances are computed in blocks of 256 MiB.
    """
    if not 1 < len(np.unique(groups_N)) < len(groups_N):
        return None
    points = np.asarray(embedding_ND, np.float64)
    with config_context(working_memory=256):
        return silhouette_samples(points, groups_N)


def spread_sample(groups: list[np.ndarray], most: int) -> np.ndarray:
    """Choose at most `most` cells, evenly spread over the groups, deterministically; return ascending rows.

    Sorts the cells by their groups, the first codes first, and takes every (N / most)-th: each group keeps
    its share, up to one cell.
    """
    cells = len(groups[0])
    if cells <= most:
        return np.arange(cells)
    order = np.lexsort(groups[::-1])
    return np.sort(order[np.arange(most) * cells // most])
