"""Cells of a file for the browser: layouts, columns and genes to colour by, selections to save.

The file is never changed, and its matrices are not read until a gene is requested. The server is in
`explorer`, the page in `reporting`.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.cells import keys
from sc_mamba2.cells.copying import CopiedCells, write_copy
from sc_mamba2.cells.opening import open_cells
from sc_mamba2.cells.readers import array_names, detect_format, reading
from sc_mamba2.cells.stored import StoredCells, StoredMatrix
from sc_mamba2.cells.writing import RESERVED
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.files import atomic_file
from sc_mamba2.reporting import CellMap, class_text, is_scale, pack_column, shared_palettes

MAX_CLASSES = 1000  # of a column; with more it is an identifier
MAX_BYTES = 2**30  # of a matrix in memory
_EMBEDDINGS = (
    keys.CORRECTED,
    keys.JOINT,
    keys.EMBEDDING,
    "X_pca",
)  # the first that exists is laid out
_FIRST_COLUMNS = 12  # sent with the page; others are fetched on request
_ROWS = 4096
_TOTAL = 10_000


class ExploredCells:
    """Cells of an `.h5ad` file to colour and select.

    Parameters
    ----------
    source
        The file.
    output
        Copy of the file to write, with the selections.
    layout
        A key of ``obsm``: shown if it has two columns, else laid out by UMAP. ``None``: all keys with
        two columns, else a UMAP of the embedding.
    force
        Whether `output` may exist already, or be the source.

    Raises
    ------
    UserError
        Rules of `read_cells`, and ``layout-missing``.
    """

    def __init__(
        self, source: Path, output: Path, layout: str | None = None, force: bool = False
    ) -> None:
        if (kind := detect_format(source)) != "h5ad":
            raise UserError(
                "file-format",
                found=f"'{source.name}' is {kind}",
                expected="cells as .h5ad",
                mend="save them with adata.write_h5ad()",
            )
        self.source, self.output, self._force = source, output, force
        with open_cells(source) as stored:
            self.obs: pd.DataFrame = stored.obs
            titles = _gene_titles(stored)
            self._places = {name: _first(names) for name, (_, names) in _matrices(stored).items()}
        self.genes, self._names = list(titles.values()), list(titles)
        self.matrices = list(self._places)
        self.selections: dict[str, pd.Series] = {}
        columns = self._find_columns()
        classes = {name: _classes(one) for name, one in columns.items() if not is_scale(one)}
        self._columns = {
            name: one for name, one in columns.items() if len(classes.get(name, ())) <= MAX_CLASSES
        }
        if not self._columns:  # a map needs some colour
            self._columns["cells"] = pd.Series("cell", self.obs.index)
            classes["cells"] = _classes(self._columns["cells"])
        self._colours = shared_palettes(
            {name: classes[name] for name in classes if name in self._columns}
        )
        self._layouts = self._lay_out(layout)
        self._loaded: tuple[str, sparse.csc_matrix, str] | None = None

    def page(self) -> dict[str, Any]:
        """Return the initial data of the page: layouts, first columns, names of everything else."""
        first = list(self._columns)[:_FIRST_COLUMNS]
        return CellMap("", self._layouts, {}).packed(len(self.obs)) | {
            "columns": [self.column(name) for name in first],
            "titles": list(self._columns),
            "genes": self.genes,
            "matrices": self.matrices,
            "output": self.output.name,
        }

    def column(self, name: str) -> dict[str, Any]:
        """Return a column in the format of the page's `unpackColumn` (raises rule ``column-missing``)."""
        if name not in self._columns:
            raise UserError(
                "column-missing",
                found=f"no column '{name}' to colour by",
                expected=f"one of the file, with at most {MAX_CLASSES:,} classes",
                mend="choose one from the list" + nearest(name, self._columns),
            )
        return pack_column(name, self._columns[name], self._colours.get(name, {}))

    def gene(self, at: int, matrix: str) -> dict[str, Any]:
        """Return the values of a gene in the format of `column`, and their description.

        Parameters
        ----------
        at
            Index in `genes`.
        matrix
            One of `matrices`; cached until another is requested. Counts are shown as
            ``log1p(10,000 x count / total of the cell)``, other values as stored.

        Raises
        ------
        UserError
            Rules ``matrix-large`` and ``gene-unknown``.
        """
        place = None
        if 0 <= at < len(self.genes) and matrix in self.matrices:
            place = self._places[matrix].get(self._names[at])
        if place is None:
            raise UserError(
                "gene-unknown",
                found=f"{matrix} has no gene {self.genes[at] if 0 <= at < len(self.genes) else at}",
                expected=f"a gene in one of: {', '.join(self.matrices) or 'no matrix'}",
                mend="choose another matrix",
            )
        if self._loaded is None or self._loaded[0] != matrix:
            self._loaded = None  # free the memory first: only one matrix fits
            with open_cells(self.source) as stored:
                self._loaded = (matrix, *_by_gene(_matrices(stored)[matrix][0], matrix))
        _, values_NG, description = self._loaded
        values = pd.Series(values_NG[:, [place]].toarray()[:, 0], self.obs.index)
        return pack_column(f"{self.genes[at]} in {matrix}", values, {}) | {"said": description}

    def select(self, name: str, value: str, cells: Iterable[int]) -> dict[str, Any]:
        """Write a selection and all previous ones to `output`; return it in the format of `column`.

        Parameters
        ----------
        name
            Column of ``obs``.
        value
            Class of the selected cells, added to previous classes of the column; empty: a boolean column.
        cells
            Indices of the cells.

        Raises
        ------
        UserError
            Rules ``selection-name``, ``selection-cells`` and ``output-exists``.
        """
        places = np.unique(np.fromiter(cells, np.int64))
        if not len(places) or places[0] < 0 or places[-1] >= len(self.obs):
            raise UserError(
                "selection-cells",
                found="no cells, or cells that do not exist",
                expected="cells of the file",
                mend="draw around some cells first",
            )
        taken = (set(self.obs) | set(self._columns)) - set(self.selections)
        if not name or "/" in name or name == RESERVED or name in taken:
            raise UserError(
                "selection-name",
                found=f"'{name}'",
                expected="a name without a slash that is not a column of the file",
                mend="choose another name",
            )
        if self.output.exists() and not self._force:
            raise UserError(
                "output-exists",
                found=f"'{self.output.name}' already exists",
                expected="a new name",
                mend="start with another --output, or add --force to replace it",
            )
        column = pd.Series(np.zeros(len(self.obs), dtype=bool), self.obs.index)
        if value:
            before = self.selections.get(name)
            named = before is not None and isinstance(before.dtype, pd.CategoricalDtype)
            column = before.astype(object) if named else column.astype(object).where(column)
        column.iloc[places] = value or True
        made = self.selections | {name: column.astype("category") if value else column}
        with atomic_file(self.output) as draft:
            write_copy(draft, CopiedCells(str(self.source), pd.DataFrame(made), {}))
        self.selections, self._force = made, True  # our own file may be replaced
        self._columns[name] = made[name]
        self._colours[name] = shared_palettes({name: _classes(made[name])})[name]
        return self.column(name)

    def _find_columns(self) -> dict[str, pd.Series]:
        """Return all columns to colour by: predicted types, those of the experts, obs, probabilities."""
        found = {keys.CELL_TYPE: self.obs[keys.CELL_TYPE]} if keys.CELL_TYPE in self.obs else {}
        experts, probability = self._array(keys.EXPERTS), self._array(keys.PROBABILITY)
        if isinstance(experts, pd.DataFrame):
            found |= {f"expert: {name}": experts[name] for name in experts}
        found |= {str(name): self.obs[name] for name in self.obs}
        classes = self._element(f"uns/{keys.FACTS}/classes")
        if classes is not None and np.shape(probability) == (len(self.obs), len(classes)):
            for at, name in enumerate(classes):
                found[f"probability: {name}"] = pd.Series(probability[:, at], self.obs.index)
        return found

    def _lay_out(self, key: str | None) -> dict[str, pd.DataFrame]:
        """Return the layouts of the file, or compute one."""
        with h5py.File(self.source) as file:
            table = file.get("obsm")
            names = list(array_names(table)) if isinstance(table, h5py.Group) else []
            wide = {name: _width(table[name]) for name in names}
        flat = {} if key else {name: self._array(name) for name in wide if wide[name] == 2}
        flat = {name: places for name, places in flat.items() if _finite(places)}
        if flat:
            return {name: _place(self.obs, places) for name, places in flat.items()}
        others = [name for name in wide if name.startswith("X_") and wide[name] > 2]
        key = key or next((name for name in (*_EMBEDDINGS, *others) if wide.get(name, 0) > 2), None)
        array = self._array(key) if key and wide.get(key, 0) > 1 else None
        if not _finite(array):
            raise UserError(
                "layout-missing",
                found=f"no finite obsm['{key}'] of two or more columns"
                if key
                else "no layout and no embedding",
                expected=f"one of: {', '.join(wide)}"
                if wide
                else "an array of two or more columns in obsm",
                mend="choose one with --layout KEY, or compute one: scm embed FILE --output OUT.h5ad"
                + nearest(key or "", wide),
            )
        if np.shape(array)[1] == 2:
            return {str(key): _place(self.obs, array)}
        from sc_mamba2.reporting.layout import lay_out  # scanpy takes seconds

        places = lay_out(pd.DataFrame(np.asarray(array), self.obs.index), seed=0)
        return {f"UMAP of {key}": places}

    def _array(self, name: str) -> Any:
        """Return an array of ``obsm`` with one row per cell, or ``None``."""
        array = self._element(f"obsm/{name}")
        return array if array is not None and len(array) == len(self.obs) else None

    def _element(self, place: str) -> Any:
        with h5py.File(self.source) as file, reading(self.source), contextlib.suppress(KeyError):
            return ad.io.read_elem(file[place])
        return None


def _place(obs: pd.DataFrame, array: Any) -> pd.DataFrame:
    return pd.DataFrame(np.asarray(array, dtype=float), obs.index, ["x", "y"])


def _classes(column: pd.Series) -> pd.Series:
    return class_text(pd.Series(column.dropna().unique()))


def _finite(array: Any) -> bool:
    try:
        return array is not None and bool(np.isfinite(np.asarray(array, dtype=float)).all())
    except (TypeError, ValueError):
        return False


def _width(stored: Any) -> int:
    """Return the number of columns of a stored array or table, 0 for anything else."""
    if isinstance(stored, h5py.Group):
        return len(stored.attrs.get("column-order", ()))
    return int(stored.shape[1]) if stored.ndim == 2 else 0


def _gene_titles(stored: StoredCells) -> dict[str, str]:
    """Return a title for every gene of the file and of raw, by name: the symbol with the name, if both exist."""
    found: dict[str, str] = {}
    for var in (stored.var, *([stored.raw.var] if stored.raw else [])):
        names = var.index.astype(str)
        column = next((name for name in keys.SYMBOL_COLUMNS if name in var), None)
        symbols = names if column is None else class_text(var[column]).fillna("")
        for name, symbol in zip(names, symbols, strict=True):
            found.setdefault(name, f"{symbol} ({name})" if symbol not in ("", name) else name)
    return found


def _first(names: pd.Index) -> dict[str, int]:
    """Return the index of each name, the first for duplicates."""
    return {str(name): len(names) - 1 - at for at, name in enumerate(names[::-1])}


def _matrices(stored: StoredCells) -> dict[str, tuple[StoredMatrix, pd.Index]]:
    """Return the matrices with the names of their genes."""
    raw = stored.raw
    found = {"X": (stored.X, stored.var.index)}
    found |= {f'layers["{name}"]': (one, stored.var.index) for name, one in stored.layers.items()}
    if raw is not None:
        found["raw.X"] = (raw.X, raw.var.index)
    return {name: (one, genes) for name, (one, genes) in found.items() if one is not None}


def _by_gene(stored: StoredMatrix, name: str) -> tuple[sparse.csc_matrix, str]:
    """Read a matrix as CSC, with counts normalised; return it and a description of its values."""
    blocks, size = [], 0
    for start in range(0, stored.shape[0], _ROWS):
        rows = stored.read(start, min(start + _ROWS, stored.shape[0]))
        blocks.append(sparse.csr_matrix(rows, dtype=np.float32))
        size += blocks[-1].data.nbytes + blocks[-1].indices.nbytes
        if size > MAX_BYTES:
            raise UserError(
                "matrix-large",
                found=f"{name} takes more than {MAX_BYTES / 2**30:g} GiB of memory",
                expected="a smaller matrix, since genes are read from memory",
                mend="explore fewer cells or genes; columns and calls can still be shown",
            )
    values_NG = sparse.vstack(blocks, format="csr")
    if (values_NG.data < 0).any() or (values_NG.data % 1).any():
        return values_NG.tocsc(), f"{name}, as stored"
    totals_N = np.asarray(values_NG.sum(axis=1))[:, 0]
    scale_N = _TOTAL / np.where(totals_N > 0, totals_N, 1)
    normal_NG = sparse.diags(scale_N.astype(np.float32)) @ values_NG
    return normal_NG.log1p().tocsc(), f"log1p of {_TOTAL:,} per cell, from the counts in {name}"
