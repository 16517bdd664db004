"""Detect the format of a path from its content; the name does not matter.

Everything in an HDF5 file or a zarr folder is checked, and nothing is loaded.
"""

from pathlib import Path

import h5py

from sc_mamba2.cells.readers.layout import (
    check_size,
    check_sparse,
    no_matrix,
    points_outside,
    reading,
)
from sc_mamba2.cells.readers.mtx_folder import is_mtx_folder
from sc_mamba2.cells.readers.probe import probe_hdf5
from sc_mamba2.cells.readers.zarr_folder import check_zarr, is_zarr_folder
from sc_mamba2.cells.source_check import FORMATS, check_hdf5, missing_file, other_format
from sc_mamba2.errors import UserError

SUFFIXES = (".h5ad", ".h5", ".h5mu", ".loom", ".zarr")
LEGACY_10X = {"barcodes", "data", "gene_names", "genes", "indices", "indptr", "shape"}


def detect_format(path: Path) -> str:
    """Detect the format of a file or folder, and check everything in it.

    Returns
    -------
    str
        ``zarr``, ``mtx``, ``h5ad``, ``h5mu``, ``loom``, ``10x`` or ``10x-legacy``.

    Raises
    ------
    UserError
        It does not exist, is unreadable or damaged, links outside itself, or holds no cells.
    """
    if not path.exists():
        raise missing_file(path)
    if not path.is_dir():
        check_hdf5(path)
        return _detect_hdf5(path)
    if is_zarr_folder(path):
        check_zarr(path)
        return "zarr"
    if is_mtx_folder(path):
        return "mtx"
    inside = next(
        (one for one in _below(path) if is_cell_folder(one) or one.suffix in SUFFIXES), None
    )
    raise UserError(
        "file-is-folder",
        found=f"'{path}' is a folder without zarr data or a matrix.mtx",
        expected=FORMATS,
        mend="give the path of what is inside it" + (f": '{inside}'" if inside else ""),
    )


def is_cell_folder(path: Path) -> bool:
    """Whether a folder is a single source of cells, rather than a folder of several."""
    return is_zarr_folder(path) or is_mtx_folder(path)


def _below(folder: Path) -> list[Path]:
    """Return the content of a folder and of its direct subfolders, sorted."""
    return sorted([*folder.glob("*"), *folder.glob("*/*")])


def _detect_hdf5(path: Path) -> str:
    probe_hdf5(path)
    with reading(path), h5py.File(path, "r") as file:
        _check_members(file, path)
        members = set(file)
        if "mod" in members and "obs" in members:
            return "h5mu"
        if {"obs", "var"} <= members:
            # Counts in a layer or raw are enough: an AnnData may lack X.
            if members & {"X", "raw"} or len(file.get("layers", ())):
                return "h5ad"
            raise no_matrix(path)
        if {"matrix", "row_attrs", "col_attrs"} <= members:
            return "loom"
        if "matrix" in members and "barcodes" in file["matrix"]:
            return "10x"
        groups = [file[name] for name in members]
        if groups and all(isinstance(g, h5py.Group) and set(g) >= LEGACY_10X for g in groups):
            return "10x-legacy"
        holds = ", ".join(sorted(file)[:5]) or "nothing"
        raise other_format(path, f"is an HDF5 file that holds {holds}")


def _check_members(group: h5py.Group, path: Path) -> None:
    """Check everything in a file before any of it is loaded."""
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            raise points_outside(f"{group.name}/{name}", path)
        member = group[name]
        if isinstance(member, h5py.Dataset):
            if member.external or member.is_virtual:
                raise points_outside(member.name, path)
            check_size(member, member.id.get_storage_size(), path)
        elif isinstance(member, h5py.Group):
            _check_members(member, path)
    check_sparse(group, path)
