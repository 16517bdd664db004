"""Labels and batches as whole numbers: what is missing is told apart once, for every metric."""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from sc_mamba2.cells.labels import label_text

MISSING = -1

Groups: TypeAlias = Sequence[Any] | np.ndarray | pd.Series | pd.Categorical


def group_codes(groups: Groups) -> np.ndarray:
    """Number the groups from 0 in the order of their names.

    Parameters
    ----------
    groups
        (N,) labels or batches of the cells; ``None``, NaN, NA and blank text are missing.

    Returns
    -------
    ndarray
        (N,) int64, -1 where the group is missing.
    """
    column = pd.Series(groups).reset_index(drop=True)
    codes, _ = pd.factorize(label_text(column).reindex(column.index), sort=True)
    return codes.astype(np.int64)


def dense_codes(codes: np.ndarray) -> np.ndarray:
    """Renumber the codes that occur from 0, without gaps."""
    return np.unique(codes, return_inverse=True)[1]
