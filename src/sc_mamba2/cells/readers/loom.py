"""Loom files: a dense genes x cells matrix with its attributes, read with h5py only."""

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

GENE_NAMES = ("Gene", "var_names", "gene_names", "Accession")
CELL_NAMES = ("CellID", "obs_names", "cell_names")
CELLS_TOGETHER = 512  # a multiple of loom's chunk side, 64


def read_loom(path: Path) -> ad.AnnData:
    """Read a loom file, every matrix as CSR of its stored type, and one-dimensional attributes.

    ``row_attrs/Accession`` becomes ``var["gene_ids"]``.
    """
    with h5py.File(path, "r") as file:
        genes = _table(file["row_attrs"], file["matrix"].shape[0], GENE_NAMES)
        return ad.AnnData(
            X=_cells_by_genes(file["matrix"]),
            obs=_table(file["col_attrs"], file["matrix"].shape[1], CELL_NAMES),
            var=genes.rename(columns={"Accession": "gene_ids"}),
            layers={name: _cells_by_genes(m) for name, m in file.get("layers", {}).items()},
        )


def _cells_by_genes(matrix: h5py.Dataset) -> sparse.csr_matrix:
    genes, cells = matrix.shape
    blocks = [
        sparse.csr_matrix(matrix[:, start : start + CELLS_TOGETHER].T)
        for start in range(0, cells, CELLS_TOGETHER)
    ]
    if not blocks:
        return sparse.csr_matrix((cells, genes), dtype=matrix.dtype)
    return sparse.vstack(blocks, format="csr")


def _table(attributes: h5py.Group, length: int, names: tuple[str, ...]) -> pd.DataFrame:
    columns = {
        name: values.asstr()[:].astype(object)
        if h5py.check_string_dtype(values.dtype)
        else values[:]
        for name, values in attributes.items()
        if isinstance(values, h5py.Dataset) and values.ndim == 1
    }
    found = next((name for name in names if name in columns), None)
    index = columns[found] if found else np.arange(length)
    return pd.DataFrame(columns).set_axis(pd.Index(index).astype(str))
