"""Cell Ranger `.h5` files: version 3 and later, and version 2 with one genome."""

from pathlib import Path

import anndata as ad
import numpy as np


def read_tenx_h5(path: Path) -> ad.AnnData:
    """Read the gene expression of a Cell Ranger file; ``var`` gets ``gene_symbols`` too."""
    import scanpy as sc  # takes seconds, and few sources need it

    cells = sc.read_10x_h5(path, gex_only=True)
    cells.var["gene_symbols"] = np.asarray(cells.var_names, dtype=object)
    return cells
