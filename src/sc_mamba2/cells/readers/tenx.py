"""Cell Ranger's `.h5` files, with all their features."""

from pathlib import Path

import anndata as ad
import h5py
import numpy as np

from sc_mamba2.cells.readers.memory import check_memory, stored_bytes


def read_tenx_h5(path: Path) -> ad.AnnData:
    """Read all features of a file; adds ``gene_symbols`` to ``var``."""
    with h5py.File(path, "r") as file:
        check_memory(stored_bytes(file), path)
    import scanpy as sc  # slow to import, and few sources need it

    cells = sc.read_10x_h5(path, gex_only=False)
    cells.var["gene_symbols"] = np.asarray(cells.var_names, dtype=object)
    return cells
