"""Which format a path holds: what it is called never counts, only what lies there."""

from pathlib import Path

import h5py

from sc_mamba2.cells.readers.faults import FORMATS, other_format
from sc_mamba2.cells.readers.hdf5 import detect_hdf5
from sc_mamba2.cells.readers.tenx_mtx import is_tenx_folder
from sc_mamba2.cells.readers.zarr_folder import check_zarr, is_zarr_folder
from sc_mamba2.errors import UserError, nearest


def detect_format(path: Path) -> str:
    """Look at a path's layout, and at all of it.

    Parameters
    ----------
    path
        A file or a folder.

    Returns
    -------
    str
        ``zarr``, ``10x-mtx``, or one of `detect_hdf5`.

    Raises
    ------
    UserError
        It does not exist, may not be read, is damaged, reaches outside itself, or holds no cells.
    """
    if not path.exists():
        raise _missing(path)
    if not path.is_dir():
        _refuse_what_is_no_hdf5(path)
        return detect_hdf5(path)
    if is_zarr_folder(path):
        check_zarr(path)
        return "zarr"
    if is_tenx_folder(path):
        return "10x-mtx"
    raise UserError(
        "file-is-folder",
        found=f"'{path}' is a folder, and neither zarr nor 10x",
        expected=FORMATS,
        mend="name the file inside it",
    )


def is_cell_folder(path: Path) -> bool:
    """Whether a folder is one source of cells, not a folder of several."""
    return is_zarr_folder(path) or is_tenx_folder(path)


def _missing(path: Path) -> UserError:
    siblings = [other.name for other in path.parent.glob("*")] if path.parent.is_dir() else []
    return UserError(
        "file-missing",
        found=f"no file at '{path}'",
        expected=FORMATS,
        mend="check the path" + nearest(path.name, siblings),
    )


def _refuse_what_is_no_hdf5(path: Path) -> None:
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except PermissionError as error:
        raise UserError(
            "file-unreadable",
            found=f"no permission to read '{path}'",
            expected="a file that you may read",
            mend=f"chmod u+r '{path}', or copy it",
        ) from error
    if not first:
        raise UserError(
            "file-empty",
            found=f"'{path}' holds 0 bytes",
            expected=FORMATS,
            mend="copy or download the file again",
        )
    if not h5py.is_hdf5(path):  # not by the first bytes: mudata writes a line of text before
        raise other_format(path, "is not an HDF5 file")
