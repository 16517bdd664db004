"""Open cells without loading them: `.h5ad` and zarr in place, SOMA by queries; other formats are loaded.

Cells already in memory are used as they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata as ad
import h5py

from sc_mamba2.cells.readers import (
    NAMED,
    array_names,
    detect_format,
    open_zarr,
    read_cells,
    reading,
)
from sc_mamba2.cells.readers.memory import check_memory, stored_bytes
from sc_mamba2.cells.soma import SomaSource, open_soma
from sc_mamba2.cells.stored import TABLES, Rows, StoredCells, StoredMatrix, results_of_before
from sc_mamba2.files import file_facts
from sc_mamba2.remote import SOMA

Source = str | Path | SomaSource | ad.AnnData
SPARSE = ("csr_matrix", "csc_matrix")


@contextmanager
def open_cells(source: Source) -> Iterator[StoredCells]:
    """Open cells without loading their matrices where the format allows it.

    Only the tables, the row pointers of CSR matrices, and requested rows of CSR and dense matrices
    are in memory. A CSC matrix has no rows on disk and is loaded whole, as are files that are
    neither `.h5ad` nor zarr, or were written before anndata 0.7.

    Parameters
    ----------
    source
        What `read_cells` takes, a SOMA experiment, or cells in memory.

    Raises
    ------
    UserError
        As `read_cells`; and while rows are read, rule ``file-damaged``.
    """
    if isinstance(source, SomaSource) or str(source).startswith(SOMA):
        with open_soma(SomaSource.of(source)) as stored:
            yield stored
        return
    if isinstance(source, ad.AnnData):
        yield StoredCells.of(source)
        return
    path = Path(source)
    kind = "named" if str(source).startswith(NAMED) else detect_format(path)
    if kind == "h5ad":
        with h5py.File(path, "r") as file:
            yield _open_group(file, path) or _loaded(source)
    elif kind == "zarr":
        yield _open_group(open_zarr(path), path) or _loaded(source)
    else:
        yield _loaded(source)


def source_facts(source: str) -> list[tuple[str, int, int]]:
    """Return path, size and time of every file of a source; none for named or remote sources."""
    place = SomaSource.of(source).uri if source.startswith(SOMA) else source
    return file_facts(Path(place).resolve())


def _loaded(source: str | Path) -> StoredCells:
    return StoredCells.of(read_cells(source), str(source))


def _open_group(group: Any, path: Path) -> StoredCells | None:
    """Open an AnnData in an HDF5 or zarr group; ``None`` if its layout is an older one."""
    if group.attrs.get("encoding-type") != "anndata":
        return None
    with reading(path):
        obs, var = (ad.io.read_elem(group[name]) for name in ("obs", "var"))
        layers, raw = group.get("layers", ()), None
        if "raw/X" in group:
            raw_var = ad.io.read_elem(group["raw/var"])
            raw_matrix = _stored_matrix(group["raw/X"], (len(obs), len(raw_var)), path)
            raw = StoredCells(str(path), obs, raw_var, raw_matrix)
        shape = (len(obs), len(var))
        return StoredCells(
            str(path),
            obs,
            var,
            _stored_matrix(group["X"], shape, path) if "X" in group else None,
            {name: _stored_matrix(layers[name], shape, path) for name in array_names(layers)},
            raw,
            results_of_before({name: list(group.get(name, ())) for name in TABLES}),
        )


def _stored_matrix(stored: Any, shape: tuple[int, int], path: Path) -> StoredMatrix:
    kind = stored.attrs.get("encoding-type")
    own_shape = tuple(stored.attrs["shape"] if kind in SPARSE else stored.shape)
    if own_shape != shape:
        raise ValueError(f"a matrix of {own_shape} for tables of {shape}")
    rows = ad.io.sparse_dataset(stored) if kind == "csr_matrix" else stored

    def read(start: int, stop: int) -> Rows:
        with reading(path):  # a damaged chunk is only found now
            return rows[start:stop]

    def read_whole() -> Rows:
        with reading(path):
            check_memory(stored_bytes(stored), path)
            return ad.io.read_elem(stored)

    whole = kind == "csc_matrix"
    return StoredMatrix.whole(shape, read_whole) if whole else StoredMatrix(shape, read)
