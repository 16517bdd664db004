"""Cell Ranger: `.h5` files, and folders of `matrix.mtx`, barcodes, and genes (version 2) or features.

Of a folder each file may be gzipped; all may carry one prefix, as GEO gives them.
"""

import gzip
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import io, sparse

from sc_mamba2.cells import keys
from sc_mamba2.cells.readers.layout import (
    LARGEST_RATIO,
    MAXIMUM_SIDE,
    contradiction,
    points_outside,
)
from sc_mamba2.errors import UserError

BYTES_A_LINE = 4  # of a matrix at least: row, column, and what parts them
COLUMNS = ("gene_ids", "gene_symbols", keys.FEATURE_TYPES)


def read_tenx_h5(path: Path) -> ad.AnnData:
    """Read the gene expression of a file of one genome; ``var`` gets ``gene_symbols`` too."""
    import scanpy as sc  # takes seconds, and few sources need it

    cells = sc.read_10x_h5(path, gex_only=True)
    cells.var["gene_symbols"] = np.asarray(cells.var_names, dtype=object)
    return cells


def is_tenx_folder(path: Path) -> bool:
    """Whether a folder holds a `matrix.mtx`."""
    return bool(_matrix_files(path))


def read_tenx_mtx(path: Path) -> ad.AnnData:
    """Read the gene expression of a folder; names of genes are their symbols.

    Raises
    ------
    UserError
        A file is missing or links outside the folder, or their sizes contradict each other.
    """
    found = _matrix_files(path)
    if len(found) > 1:
        raise UserError(
            "folder-ambiguous",
            found=f"'{path}' holds {', '.join(file.name for file in found[:3])}",
            expected="one matrix.mtx a folder",
            mend="give each its own folder, with its barcodes and features",
        )
    stored = _own(found[0], path)
    prefix = stored.name[: stored.name.index("matrix.mtx")]
    features = _read_lines(_partner(path, prefix, ("features.tsv", "genes.tsv")))
    barcodes = _read_lines(_partner(path, prefix, ("barcodes.tsv",)))
    _check_header(stored, len(features), len(barcodes))
    with gzip.open(stored) if stored.suffix == ".gz" else stored.open("rb") as file:
        counts = sparse.csr_matrix(io.mmread(file).T)
    named = features.iloc[:, : len(COLUMNS)]
    genes = named.set_axis(list(COLUMNS[: named.shape[1]]), axis=1)
    genes.index = pd.Index(genes["gene_symbols" if "gene_symbols" in genes else "gene_ids"])
    cells = ad.AnnData(
        X=counts.astype(np.float32),
        obs=pd.DataFrame(index=pd.Index(barcodes[0].to_numpy(), name=None)),
        var=genes.rename_axis(None),
    )
    if keys.FEATURE_TYPES not in genes:
        return cells
    return cells[:, genes[keys.FEATURE_TYPES].isin(keys.GENE_FEATURES).to_numpy()].copy()


def _matrix_files(path: Path) -> list[Path]:
    return sorted([*path.glob("*matrix.mtx"), *path.glob("*matrix.mtx.gz")])


def _partner(path: Path, prefix: str, names: tuple[str, ...]) -> Path:
    for name in names:
        for file in (path / f"{prefix}{name}.gz", path / f"{prefix}{name}"):
            if file.is_file():
                return _own(file, path)
    raise UserError(
        "folder-incomplete",
        found=f"'{path}' holds no {' or '.join(prefix + name for name in names)}",
        expected="matrix.mtx, barcodes.tsv and features.tsv (or genes.tsv), each plain or gzipped",
        mend="copy the whole folder",
    )


def _own(file: Path, folder: Path) -> Path:
    if not file.resolve().is_relative_to(folder.resolve()):
        raise points_outside(file.name, folder)
    return file


def _read_lines(file: Path) -> pd.DataFrame:
    return pd.read_csv(file, sep="\t", header=None, dtype=str, keep_default_na=False, quoting=3)


def _check_header(file: Path, features: int, barcodes: int) -> None:
    """Refuse a matrix that declares other sides than its tables, or more than its bytes can hold."""
    rows, columns, values, *_ = io.mminfo(file)
    most = file.stat().st_size * (LARGEST_RATIO if file.suffix == ".gz" else 1) / BYTES_A_LINE
    agree = (rows, columns) == (features, barcodes)
    if not agree or max(rows, columns) > MAXIMUM_SIDE or values > most:
        raise contradiction(
            f"{file.name} declares {rows:,} x {columns:,} and {values:,} values; beside it lie "
            f"{features:,} features and {barcodes:,} barcodes",
            "features x barcodes, and as many values as the file holds",
        )
