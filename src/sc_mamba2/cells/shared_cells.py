"""Cells that a query shares with its reference: scores on them would measure memorisation."""

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells.keys import COUNTS_LAYER

SAME = 1e-3  # tolerance, as a share of the profile's largest value


def shared_cells(reference: AnnData, query: AnnData) -> pd.Index:
    """Return the names of cells in both with the same profile over their common genes.

    A name alone is not enough, since barcodes repeat. Counts are compared if both have them.

    Parameters
    ----------
    reference, query
        In the standard form, with unique names.
    """
    names = query.obs_names.intersection(reference.obs_names, sort=False)
    genes = query.var_names.intersection(reference.var_names)
    if names.empty or genes.empty:
        return names[:0]
    counted = all(COUNTS_LAYER in cells.layers for cells in (reference, query))
    one, other = (_profiles(cells, names, genes, counted) for cells in (reference, query))
    largest = one.max(axis=1).toarray().ravel()
    apart = abs(one - other).max(axis=1).toarray().ravel()
    return names[(largest > 0) & (apart <= SAME * largest)]


def shared_remark(shared: int, cells: int, of: str) -> dict[str, str]:
    """Return the remark on cells excluded from a query's scores; `of` names the set they are shared with."""
    words = f"{shared:,} of {cells:,} cells are also in {of} (same name, same profile)"
    return {"rule": "cells-shared", "remark": f"{words}; they are excluded from the scores"}


def _profiles(cells: AnnData, names: pd.Index, genes: pd.Index, counted: bool) -> sparse.csr_matrix:
    matrix = cells.layers[COUNTS_LAYER] if counted else cells.X
    rows, columns = cells.obs_names.get_indexer(names), cells.var_names.get_indexer(genes)
    return sparse.csr_matrix(matrix[rows][:, columns], dtype=np.float64)
