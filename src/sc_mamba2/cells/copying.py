"""A copy of the user's cells with results added, written without loading a matrix.

Which results there are, and their names, is decided elsewhere (`keys`).
"""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import zarr

from sc_mamba2.cells.opening import Source, open_cells
from sc_mamba2.cells.readers import NAMED, array_names, detect_format, read_cells
from sc_mamba2.cells.readers.anndata_group import ARRAYS
from sc_mamba2.cells.writing import writable
from sc_mamba2.cells.zarr_writing import copy_h5ad, write_rows

_ROWS_PER_CHUNK = 1024
_ARRAY = {"encoding-type": "array", "encoding-version": "0.2.0"}
_log = logging.getLogger(__name__)


class RowBlocks(Protocol):
    """A matrix that yields blocks of rows, in order."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the blocks, float32."""


@dataclass(frozen=True, eq=False)
class CopiedCells:
    """Cells that stay on disk, and the columns of `obs`, arrays and tables to add to a copy of them.

    `source` is as for `open_cells`, except a SOMA experiment. `obs` and each array of `obsm` have N
    rows in the order of the source.
    """

    source: Source
    obs: pd.DataFrame
    obsm: dict[str, RowBlocks]
    uns: dict[str, Any] = field(default_factory=dict)


def write_copy(path: Path, cells: CopiedCells) -> None:
    """Write a copy as `.h5ad`, or zarr if the path ends so, with at most one block of a matrix in memory.

    An `.h5ad` file is copied byte for byte and then added to; keys of the same name are replaced, and
    keys with a slash, which anndata cannot read, are renamed. A file written by anndata before 0.8 is read and
    rewritten. Of any other source only the table of the cells is written, not the expression, which is logged.
    To zarr, an `.h5ad` file is written matrix by matrix, in shards, and a zarr folder is copied as it is.
    """
    if path.suffix == ".zarr":
        _write_zarr(path, cells)
        return
    if not _has_format(cells.source, "h5ad"):
        _table_alone(cells.source).write_h5ad(path)
    elif _has_current_format(cells.source):
        shutil.copyfile(cells.source, path)
    else:
        writable(read_cells(cells.source)).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        _rename_keys(file)
        for name in cells.obs:
            _add_column(file["obs"], str(name), cells.obs[name])
        for name, blocks in cells.obsm.items():
            _add_rows(_table(file, "obsm"), name, blocks)
        for name, value in cells.uns.items():
            ad.io.write_elem(_table(file, "uns"), name, value)


def _write_zarr(path: Path, cells: CopiedCells) -> None:
    with ad.settings.override(allow_write_nullable_strings=True):
        if is_copied := _has_format(cells.source, "zarr"):
            shutil.copytree(cells.source, path, dirs_exist_ok=True)
            group = zarr.open_group(path, mode="r+", use_consolidated=False)
        else:
            group = zarr.open_group(path, mode="w", zarr_format=3)
        if _has_format(cells.source, "h5ad") and _has_current_format(cells.source):
            with h5py.File(cells.source) as file:
                copy_h5ad(file, group)
        elif not is_copied:
            whole = _has_format(cells.source, "h5ad")
            found = writable(read_cells(cells.source)) if whole else _table_alone(cells.source)
            ad.io.write_elem(group, "/", found)
        for name in cells.obs:
            _add_column(group["obs"], str(name), cells.obs[name])
        for name, blocks in cells.obsm.items():
            table = _table(group, "obsm")
            write_rows(table, name, blocks.shape, blocks)
            table[name].attrs.update(_ARRAY)
        for name, value in cells.uns.items():
            ad.io.write_elem(_table(group, "uns"), name, value)
    if zarr.open_group(path, mode="r").metadata.consolidated_metadata is not None:
        zarr.consolidate_metadata(path)  # the copied metadata lacks what was added


def _table_alone(source: Source) -> ad.AnnData:
    _log.warning(
        "Only the table of the cells was written, without the expression, which is copied only from an "
        ".h5ad file, or from zarr to zarr"
    )
    with open_cells(source) as stored:
        return writable(ad.AnnData(obs=stored.obs))


def _has_format(source: Source, kind: str) -> TypeGuard[str]:
    named = not isinstance(source, str) or source.startswith(NAMED)
    return not named and detect_format(Path(str(source))) == kind


def _has_current_format(source: str) -> bool:
    with h5py.File(source, "r") as file:
        return bool(file.attrs.get("encoding-type") == "anndata")


def _rename_keys(file: h5py.File) -> None:
    """Replace slashes in keys of arrays by underscores."""
    for table in (file[name] for name in ARRAYS if name in file):
        for name in [name for name in array_names(table) if "/" in name]:
            new = name.replace("/", "_")
            while new in table:
                new += "_"
            table.move(name, new)
            _log.warning("%s['%s'] was renamed to '%s'", table.name.strip("/"), name, new)
        for name in set(table) - {name.split("/")[0] for name in array_names(table)}:
            del table[name]  # their parent group, now empty


def _add_column(obs: Any, name: str, column: pd.Series) -> None:
    values = column.array if isinstance(column.dtype, pd.CategoricalDtype) else column.to_numpy()
    ad.io.write_elem(obs, name, values)
    order = [*(str(other) for other in obs.attrs["column-order"] if other != name), name]
    in_hdf5 = isinstance(obs, h5py.Group)
    obs.attrs["column-order"] = np.asarray(order, h5py.string_dtype()) if in_hdf5 else order


def _add_rows(obsm: h5py.Group, name: str, blocks: RowBlocks) -> None:
    if name in obsm:
        del obsm[name]
    rows, columns = blocks.shape
    chunks = (min(rows, _ROWS_PER_CHUNK), columns)
    matrix = obsm.create_dataset(name, (rows, columns), np.float32, chunks=chunks)
    matrix.attrs.update(_ARRAY)
    start = 0
    for block in blocks:
        matrix[start : start + len(block)] = block
        start += len(block)
    assert start == rows, "the blocks are all rows of the matrix"


def _table(file: Any, name: str) -> Any:
    if name not in file:
        ad.io.write_elem(file, name, {})
    return file[name]
