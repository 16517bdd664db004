"""Find cells that several files hold, by 64-bit hashes of barcode and expression."""

from collections.abc import Sequence

import anndata as ad
import numpy as np
import pandas as pd

from sc_mamba2.cells.keys import COUNTS_LAYER

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # makes hashes of pairs depend on their order
GROUP_BITS = 4


def hash_cells(cells: ad.AnnData) -> np.ndarray:
    """Hash the name and the expression of each cell.

    The hash does not depend on the order of genes, the format, or genes without a count; it uses the
    counts if there are any. A cell whose other genes were removed, or that was normalised, has
    another hash.

    Returns
    -------
    ndarray
        (N,) uint64 for N cells in the standard form; pandas' hashes, equal on every machine.
    """
    matrix = cells.layers.get(COUNTS_LAYER, cells.X)
    genes = pd.util.hash_array(cells.var_names.to_numpy(dtype=object), categorize=False)
    bits = matrix.data.astype(np.float32).view(np.uint32).astype(np.uint64)
    entries = pd.util.hash_array(genes[matrix.indices] + bits * MULTIPLIER)
    # Sums do not depend on the genes' order; they and their differences wrap around 2**64.
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(entries, dtype=np.uint64)])
    expression = sums[matrix.indptr[1:]] - sums[matrix.indptr[:-1]]
    names = pd.util.hash_array(cells.obs_names.to_numpy(dtype=object), categorize=False)
    return pd.util.hash_array(expression + names * MULTIPLIER)


def first_occurrences(hashes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Mark the first of equal hashes over all files, in their order.

    `hashes` are (N_i,) uint64 per file, the marks (N_i,) bool. Hashes are compared in groups of equal
    leading bits, so that memory holds little more than two copies. Two of n different cells share a
    hash with a probability of about n**2 / 2**65, 1 in 11,000 at 57 million.
    """
    if not hashes:
        return []
    together = np.concatenate(hashes)
    group = (together >> np.uint64(64 - GROUP_BITS)).astype(np.uint8)
    first = np.zeros(len(together), bool)
    for number in range(2**GROUP_BITS):
        places = np.flatnonzero(group == number)
        first[places[np.unique(together[places], return_index=True)[1]]] = True
    return np.split(first, np.cumsum([len(part) for part in hashes])[:-1])
