"""Which of the HDF5 formats a file is, after everything in it was looked at and nothing loaded."""

from pathlib import Path

import h5py

from sc_mamba2.cells.readers.faults import damaged, no_matrix, other_format, points_outside
from sc_mamba2.cells.readers.layout import check_size, check_sparse
from sc_mamba2.errors import UserError

LEGACY_10X = {"barcodes", "data", "gene_names", "genes", "indices", "indptr", "shape"}


def detect_hdf5(path: Path) -> str:
    """Check the layout of an HDF5 file.

    Returns
    -------
    str
        ``h5ad``, ``h5mu``, ``loom``, ``10x`` or ``10x-legacy``.

    Raises
    ------
    UserError
        It is damaged, reaches outside itself, or is of another kind.
    """
    try:
        with h5py.File(path, "r") as file:
            _check_members(file, path)
            kind = _kind(file)
            if kind:
                return kind
            if {"obs", "var"} <= set(file):
                raise no_matrix(path)
            keys = ", ".join(sorted(file)[:5]) or "nothing"
    except UserError:
        raise
    except Exception as error:  # h5py says what is damaged in many ways
        raise damaged(path, error) from error
    raise other_format(path, f"is an HDF5 file that holds {keys}")


def _kind(file: h5py.File) -> str:
    members = set(file)
    if "mod" in members and "obs" in members:
        return "h5mu"
    # Counts in a layer or in raw are enough: an AnnData may have no X.
    if {"obs", "var"} <= members and (members & {"X", "raw"} or len(file.get("layers", ()))):
        return "h5ad"
    if {"matrix", "row_attrs", "col_attrs"} <= members:
        return "loom"
    if "matrix" in members and "barcodes" in file["matrix"]:
        return "10x"
    groups = [file[name] for name in members]
    if groups and all(
        isinstance(group, h5py.Group) and set(group) >= LEGACY_10X for group in groups
    ):
        return "10x-legacy"
    return ""


def _check_members(group: h5py.Group, path: Path) -> None:
    """Look at everything in a file before any of it is loaded."""
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
