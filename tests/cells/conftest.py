"""The shipped gene table, small counts with its ids, and the two kinds of file that hold them."""

import anndata as ad
import h5py
import numpy as np
import pytest

from sc_mamba2.cells import simulate_cells
from sc_mamba2.genes import load_gene_table


@pytest.fixture(scope="session")
def table():
    return load_gene_table()


@pytest.fixture
def cells() -> ad.AnnData:
    """Twelve cells, nine genes, counts in X."""
    return simulate_cells(12, 9)


@pytest.fixture
def h5ad(cells, tmp_path):
    """The counts in X and as a layer."""
    cells.layers["counts"] = cells.X.copy()
    path = tmp_path / "cells.h5ad"
    cells.write_h5ad(path)
    return path


@pytest.fixture
def tenx(cells, tmp_path):
    """What Cell Ranger 3 and later write: genes x cells, compressed by cell; the last one a protein."""
    path = tmp_path / "cells.h5"
    genes = cells.n_vars
    with h5py.File(path, "w") as file:
        matrix = file.create_group("matrix")
        matrix["shape"] = np.array([genes, cells.n_obs], dtype=np.int32)
        matrix["data"] = cells.X.data.astype(np.int32)
        matrix["indices"] = cells.X.indices.astype(np.int64)
        matrix["indptr"] = cells.X.indptr.astype(np.int64)
        matrix["barcodes"] = np.array(list(cells.obs_names), dtype="S")
        features = matrix.create_group("features")
        features["id"] = np.array(list(cells.var_names), dtype="S")
        features["name"] = np.array(list(cells.var["symbol"]), dtype="S")
        features["feature_type"] = np.array(
            ["Gene Expression"] * (genes - 1) + ["Antibody Capture"], dtype="S"
        )
        features["genome"] = np.array(["GRCh38"] * genes, dtype="S")
    return path
