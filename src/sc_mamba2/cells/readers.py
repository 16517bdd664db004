"""From a source to an AnnData in memory: `.h5ad`, 10x `.h5`, data inside the scanpy package.

A file is untrusted: its HDF5 layout is looked at before anything is loaded. What the matrix holds is
checked in `contract`.
"""

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import scanpy as sc

from sc_mamba2.cells.simulate import simulate_cells
from sc_mamba2.errors import UserError, nearest

EMBEDDED: dict[str, Callable[[], ad.AnnData]] = {
    "scanpy:pbmc68k_reduced": sc.datasets.pbmc68k_reduced,
    "simulated:three-types": simulate_cells,
}
FORMATS = "an .h5ad file (AnnData) or a 10x .h5 file (Cell Ranger)"
MAXIMUM_SIDE = 2**31 - 1
LARGEST_RATIO = 1100  # of unpacked to stored bytes; deflate cannot reach it
SURELY_FITS = 2**30  # bytes that are unpacked whatever the ratio


def read_cells(source: str | Path) -> ad.AnnData:
    """Read cells from a file or from the scanpy package.

    Parameters
    ----------
    source
        Path of an `.h5ad` or 10x `.h5` file, or a name such as ``scanpy:pbmc68k_reduced``.

    Returns
    -------
    AnnData
        Cells x genes, in memory, as stored.

    Raises
    ------
    UserError
        The source does not exist, is of another format, or is damaged.
    """
    name = str(source)
    if name.startswith(("scanpy:", "simulated:")):
        if name not in EMBEDDED:
            raise UserError(
                "source-unknown",
                found=f"the source '{name}'",
                expected=f"one of {', '.join(EMBEDDED)}, or a file",
                mend="use one of these names or a path" + nearest(name, EMBEDDED),
            )
        return EMBEDDED[name]()
    path = Path(source)
    read = _FORMATS[_sniff(path)]
    try:
        return read(path)
    except UserError:
        raise
    except Exception as error:
        raise _damaged(path, error) from error


def _sniff(path: Path) -> str:
    """Look at the file's layout; return its format's name."""
    _refuse_what_is_no_file(path)
    try:
        with h5py.File(path, "r") as file:
            _check_members(file, path)
            # Counts in a layer or in raw are enough: an AnnData may have no X.
            if {"obs", "var"} <= set(file) and (
                "X" in file or "raw" in file or len(file.get("layers", ()))
            ):
                return "h5ad"
            if "matrix" in file and "barcodes" in file["matrix"]:
                return "10x"
            if "obs" in file and "var" in file:
                raise UserError(
                    "file-no-matrix",
                    found=f"{path.name} has obs and var but no X",
                    expected="an AnnData with a matrix of expression",
                    mend="write the file again with the counts in X",
                )
            keys = ", ".join(sorted(file)[:5]) or "nothing"
    except UserError:
        raise
    except Exception as error:  # h5py says what is damaged in many ways
        raise _damaged(path, error) from error
    raise UserError(
        "file-format",
        found=f"{path.name} is an HDF5 file that holds {keys}",
        expected=FORMATS,
        mend="save the cells with adata.write_h5ad()",
    )


def _refuse_what_is_no_file(path: Path) -> None:
    if not path.exists():
        siblings = (
            [other.name for other in path.parent.glob("*.h5*")] if path.parent.is_dir() else []
        )
        raise UserError(
            "file-missing",
            found=f"no file at '{path}'",
            expected=FORMATS,
            mend="check the path" + nearest(path.name, siblings),
        )
    if path.is_dir():
        raise UserError(
            "file-is-folder",
            found=f"'{path}' is a folder",
            expected=FORMATS,
            mend="name the file inside it (zarr and 10x mtx folders are not read yet)",
        )
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except PermissionError as error:
        raise UserError(
            "file-unreadable",
            found=f"no permission to read '{path}'",
            expected="a file that you may read",
            mend=f"chmod u+r '{path}', or copy it",
        ) from error
    if not head:
        raise UserError(
            "file-empty",
            found=f"'{path}' holds 0 bytes",
            expected=FORMATS,
            mend="copy or download the file again",
        )
    if head != b"\x89HDF\r\n\x1a\n":
        raise UserError(
            "file-format",
            found=f"'{path.name}' is not an HDF5 file",
            expected=FORMATS,
            mend="read it with the tool that made it and save it with adata.write_h5ad()",
        )


def _check_members(group: h5py.Group, path: Path) -> None:
    """Look at everything in a file before any of it is loaded."""
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            raise _points_outside(f"{group.name}/{name}", path)
        member = group[name]
        if isinstance(member, h5py.Dataset):
            _check_storage(member, path)
        elif isinstance(member, h5py.Group):
            _check_members(member, path)
    if {"data", "indices", "indptr"} <= set(group):
        problem = _sparse_problem(group)
        if problem:
            raise UserError(
                "matrix-layout",
                found=f"{group.name} of {path.name}: {problem}",
                expected="a well-formed sparse matrix (CSR or CSC)",
                mend="write the file again from the original; this one is damaged",
            )


def _points_outside(name: str, path: Path) -> UserError:
    """Refuse a file that would read other files: it could name any path of this machine."""
    return UserError(
        "file-external-link",
        found=f"'{name.strip('/')}' in {path.name} is a link to another file",
        expected="a file that holds its own data",
        mend="load it where it was made and save it again with adata.write_h5ad()",
    )


def _check_storage(dataset: h5py.Dataset, path: Path) -> None:
    """Refuse data that lie in other files, and sizes that the stored bytes cannot unpack to."""
    if dataset.external or dataset.is_virtual:
        raise _points_outside(dataset.name, path)
    stored = dataset.id.get_storage_size()
    if dataset.nbytes > max(SURELY_FITS, LARGEST_RATIO * stored):
        raise UserError(
            "matrix-layout",
            found=f"{dataset.name} of {path.name} declares {dataset.shape} values in {stored:,} bytes",
            expected="as many values as the file holds",
            mend="write the file again from the original; this one is damaged",
        )


def _sparse_problem(group: h5py.Group) -> str:
    """Say what is wrong with a stored sparse matrix, or nothing."""
    sides = _compressed_and_other_side(group)
    if sides is None:
        return "it does not declare its shape"
    major, minor = sides
    if max(sides) > MAXIMUM_SIDE or min(sides) < 0:
        return f"its declared sides {major:,} and {minor:,} cannot be right"
    pointers, indices, data = group["indptr"], group["indices"], group["data"]
    if len(pointers) != major + 1:
        return f"{len(pointers):,} pointers for {major:,} rows"
    indptr = np.asarray(pointers)
    if indptr[0] != 0 or (np.diff(indptr) < 0).any():
        return "its pointers do not rise"
    if indptr[-1] != len(indices) or len(indices) != len(data):
        return f"{indptr[-1]:,} values promised, {len(indices):,} indices and {len(data):,} values stored"
    if len(indices) and not 0 <= np.min(indices) <= np.max(indices) < minor:
        return f"an index outside 0 to {minor - 1:,}"
    return ""


def _compressed_and_other_side(group: h5py.Group) -> tuple[int, int] | None:
    """Return how many rows of a CSR (columns of a CSC) matrix are declared, and the other side."""
    if "shape" in group:  # 10x: genes x cells, compressed by cell
        minor, major = (int(side) for side in group["shape"])
        return major, minor
    declared = group.attrs.get("shape", group.attrs.get("h5sparse_shape"))
    if declared is None:
        return None
    rows, columns = (int(side) for side in declared)
    kind = group.attrs.get("encoding-type", group.attrs.get("h5sparse_format", "csr"))
    return (rows, columns) if "csr" in str(kind) else (columns, rows)


def _read_10x(path: Path) -> ad.AnnData:
    cells = sc.read_10x_h5(path, gex_only=True)
    cells.var["gene_symbols"] = np.asarray(cells.var_names, dtype=object)
    return cells


def _damaged(path: Path, error: Exception) -> UserError:
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return UserError(
        "file-damaged",
        found=f"'{path.name}' cannot be read ({first_line[:160]})",
        expected=FORMATS,
        mend="copy or download it again; if it opens elsewhere, save it with adata.write_h5ad()",
    )


_FORMATS: dict[str, Callable[[Path], ad.AnnData]] = {"h5ad": ad.read_h5ad, "10x": _read_10x}
