"""Folders with a Matrix Market file, and the names of its cells and features in separate files.

Quantifiers differ in file names and in the orientation of the matrix. Any file may be gzipped; in a
Cell Ranger folder all may share a prefix, as in GEO.
"""

import gzip
import logging
from dataclasses import dataclass
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
from sc_mamba2.cells.readers.memory import check_memory
from sc_mamba2.errors import UserError

BYTES_PER_VALUE = 16  # in memory: row, column, and an 8-byte number
BYTES_PER_LINE = 4  # at least: row, column, separators
COLUMNS = ("gene_ids", "gene_symbols", keys.FEATURE_TYPES, "chrom", "start", "end")
CLEARLY = 1.5  # ratio by which totals of genes vary more than those of cells
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Layout:
    """How a quantifier names the three files, and whether cells are the rows of its matrix."""

    who: str
    matrix: str
    cells: tuple[str, ...]
    features: tuple[str, ...]
    cells_in_rows: bool = False


CELL_RANGER = Layout("Cell Ranger", "*matrix.mtx", ("barcodes.tsv",), ("features.tsv", "genes.tsv"))
LAYOUTS = (
    Layout(
        "kb-python",
        "cells_x_genes*.mtx",
        ("cells_x_genes.barcodes.txt",),
        ("cells_x_genes.genes.txt",),
        cells_in_rows=True,
    ),
    Layout(
        "alevin-fry",
        "quants_mat.mtx",
        ("quants_mat_rows.txt",),
        ("quants_mat_cols.txt",),
        cells_in_rows=True,
    ),
    *(
        Layout("Parse", matrix, ("cell_metadata.csv",), ("all_genes.csv", "genes.csv"), True)
        for matrix in ("DGE.mtx", "count_matrix.mtx")
    ),
    CELL_RANGER,
    Layout("STARsolo", "*.mtx", ("barcodes.tsv",), ("features.tsv", "genes.tsv")),
)


def is_mtx_folder(path: Path) -> bool:
    """Whether a folder has the layout of a known quantifier."""
    return _layout_of(path) is not None


def read_mtx_folder(path: Path) -> ad.AnnData:
    """Read all features of a folder; genes are named by their symbols where available.

    Raises
    ------
    UserError
        A file is missing or links outside the folder, there are several matrices, or their sizes
        contradict each other.
    """
    layout, found = _layout_of(path) or (CELL_RANGER, [])
    if len(found) > 1:
        raise _several(path, found, layout)
    stored = _own(found[0], path)
    prefix = stored.name[: stored.name.index("matrix.mtx")] if layout == CELL_RANGER else ""
    genes = _features(_partner(path, prefix, layout.features))
    obs = _cells(_partner(path, prefix, layout.cells))
    _check_header(stored, len(genes), len(obs))
    if genes.index.str.endswith(("-U", "-A")).mean() > 0.5:
        raise _unspliced_columns(path)
    with gzip.open(stored) if stored.suffix == ".gz" else stored.open("rb") as file:
        matrix = sparse.csr_matrix(io.mmread(file))
    upright = _cells_in_rows(matrix, stored, len(genes), len(obs), layout)
    counts = matrix if upright else sparse.csr_matrix(matrix.T)
    return ad.AnnData(X=counts.astype(np.float32), obs=obs, var=genes)


def _layout_of(path: Path) -> tuple[Layout, list[Path]] | None:
    """Return the first layout of which the folder holds the matrix and another file, and the matrices."""
    for layout in LAYOUTS:
        found = sorted([*path.glob(layout.matrix), *path.glob(layout.matrix + ".gz")])
        has_tables = any(any(path.glob(f"{name}*")) for name in layout.features + layout.cells)
        named = layout == CELL_RANGER or has_tables
        if found and named:
            return layout, found
    return None


def _several(path: Path, found: list[Path], layout: Layout) -> UserError:
    names = [*layout.cells, *layout.features[:1]]
    return UserError(
        "folder-ambiguous",
        found=f"'{path}' holds {', '.join(file.name for file in found[:4])}",
        expected="one matrix per folder",
        mend=f"copy the one you want to its own folder, together with its {' and '.join(names)}; "
        "STARsolo writes gene counts to Gene/filtered, next to Velocyto",
    )


def _unspliced_columns(path: Path) -> UserError:
    return UserError(
        "folder-ambiguous",
        found=f"'{path}' counts spliced, unspliced (-U) and ambiguous (-A) molecules of a gene separately",
        expected="one column per gene",
        mend="sum those you want, for example with pyroe.load_fry, and save an .h5ad",
    )


def _partner(path: Path, prefix: str, names: tuple[str, ...]) -> Path:
    for name in names:
        for file in (path / f"{prefix}{name}.gz", path / f"{prefix}{name}"):
            if file.is_file():
                return _own(file, path)
    raise UserError(
        "folder-incomplete",
        found=f"'{path}' holds no {' or '.join(prefix + name for name in names)}",
        expected="a matrix, the names of its cells and those of its features, each plain or gzipped",
        mend="copy the whole folder",
    )


def _own(file: Path, folder: Path) -> Path:
    if not file.resolve().is_relative_to(folder.resolve()):
        raise points_outside(file.name, folder)
    return file


def _features(file: Path) -> pd.DataFrame:
    if ".csv" in file.suffixes:
        table = _read(file, ",", header=0)
        table = table.rename(columns={"gene_id": "gene_ids", "gene_name": "gene_symbols"})
    else:
        table = _read(file, "\t", header=None).iloc[:, : len(COLUMNS)]
        table = table.set_axis(list(COLUMNS[: table.shape[1]]), axis=1)
        for place in {"start", "end"} & set(table):
            table[place] = pd.to_numeric(table[place], errors="coerce")
    index = table["gene_symbols" if "gene_symbols" in table else table.columns[0]]
    return table.set_axis(pd.Index(index.to_numpy(), dtype=object), axis=0)


def _cells(file: Path) -> pd.DataFrame:
    named = ".csv" in file.suffixes
    table = _read(file, "," if named else "\t", header=0 if named else None)
    index = pd.Index(table.iloc[:, 0].to_numpy(), dtype=object)
    return table.iloc[:, 1 if named else table.shape[1] :].set_axis(index, axis=0)


def _read(file: Path, separator: str, header: int | None) -> pd.DataFrame:
    quoting = 3 if separator == "\t" else 0
    return pd.read_csv(
        file, sep=separator, header=header, dtype=str, keep_default_na=False, quoting=quoting
    )


def _check_header(file: Path, features: int, cells: int) -> None:
    """Refuse a matrix whose header contradicts its tables, or declares more than its bytes can hold."""
    rows, columns, values, *_ = io.mminfo(file)
    most = file.stat().st_size * (LARGEST_RATIO if file.suffix == ".gz" else 1) / BYTES_PER_LINE
    agree = sorted((rows, columns)) == sorted((features, cells))
    if not agree or max(rows, columns) > MAXIMUM_SIDE or values > most:
        raise contradiction(
            f"{file.name} declares {rows:,} x {columns:,} and {values:,} values; next to it are "
            f"{features:,} features and {cells:,} barcodes",
            "features x barcodes, and as many values as the file contains",
        )
    check_memory(values * BYTES_PER_VALUE, file)


def _cells_in_rows(
    matrix: sparse.csr_matrix, file: Path, features: int, cells: int, layout: Layout
) -> bool:
    """Whether cells are the rows, judged by the shape, or by the values of a square matrix."""
    if features != cells:
        upright = matrix.shape == (cells, features)
        if upright != layout.cells_in_rows:
            rows = "cells" if upright else "genes"
            _log.warning("%s has %s in rows, unlike those of %s", file.name, rows, layout.who)
        return upright
    if layout.cells_in_rows or _by_cell_ranger(file):
        return layout.cells_in_rows
    rows, columns = (_spread(matrix.sum(axis=side)) for side in (1, 0))
    if max(rows, columns) < CLEARLY * min(rows, columns):
        raise UserError(
            "folder-square",
            found=f"{file.name} is square, {cells:,} x {cells:,}: cells and genes cannot be distinguished",
            expected="genes in rows, as Cell Ranger writes them",
            mend="save it as .h5ad; or, if cells are in rows, name the three files as kb-python does: "
            "cells_x_genes.mtx, cells_x_genes.barcodes.txt, cells_x_genes.genes.txt",
        )
    rows_hold = "cells" if rows < columns else "genes"
    _log.warning("%s is square; by its values %s are in rows", file.name, rows_hold)
    return rows_hold == "cells"


def _by_cell_ranger(file: Path) -> bool:
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stored:
        return b"metadata_json" in b"".join(stored.readline() for _ in range(2))


def _spread(totals: np.ndarray) -> float:
    """Return the coefficient of variation of totals."""
    flat = np.asarray(totals, dtype=np.float64).ravel()
    return float(flat.std() / max(flat.mean(), 1e-12))
