"""Checks that every reader makes before loading a source, and the errors for refused ones.

They work for HDF5 and zarr: a group is anything with named arrays and `attrs`. Only the row
pointers are held whole; everything else is checked in parts.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sc_mamba2.cells.source_check import FORMATS
from sc_mamba2.errors import UserError

MAXIMUM_SIDE = 2**31 - 1
LARGEST_RATIO = 1100  # of unpacked to stored bytes, beyond the reach of deflate
SURELY_FITS = 2**30  # bytes allowed whatever the ratio
PART = 2**22  # indices checked at a time


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise rule ``file-damaged`` if a reader fails: libraries report damage in many ways."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            "file-damaged",
            found=f"'{path.name}' cannot be read ({first_line(error)})",
            expected=FORMATS,
            mend="copy or download it again; if it opens elsewhere, save it with adata.write_h5ad()",
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of a library's error message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]


def points_outside(name: str, path: Path) -> UserError:
    """Return the error for a source that would read other files, anywhere on this machine."""
    return UserError(
        "file-external-link",
        found=f"'{name.strip('/')}' in {path.name} is a link to another file",
        expected="a file that contains all its data",
        mend="load it where it was made and save it again with adata.write_h5ad()",
    )


def no_matrix(path: Path) -> UserError:
    """Return the error for tables without a matrix."""
    return UserError(
        "file-no-matrix",
        found=f"{path.name} has obs and var but no X",
        expected="an AnnData with an expression matrix",
        mend="write the file again with the counts in X",
    )


def contradiction(found: str, expected: str) -> UserError:
    """Return the error for a matrix that contradicts its own declaration."""
    mend = "write the file again from the original; this one is damaged"
    return UserError("matrix-layout", found=found, expected=expected, mend=mend)


def check_sparse(group: Any, path: Path) -> None:
    """Refuse a stored sparse matrix that is inconsistent (``matrix-layout``); other groups pass."""
    if {"data", "indices", "indptr"} <= set(group) and (problem := _sparse_problem(group)):
        raise contradiction(
            f"{group.name} of {path.name}: {problem}", "a well-formed sparse matrix (CSR or CSC)"
        )


def check_size(array: Any, stored: int, path: Path) -> None:
    """Refuse sizes that the stored bytes cannot unpack to (``matrix-layout``)."""
    if array.nbytes > max(SURELY_FITS, LARGEST_RATIO * stored):
        raise contradiction(
            f"{array.name} of {path.name} declares {array.shape} values in {stored:,} bytes",
            "as many values as the file contains",
        )


def _sparse_problem(group: Any) -> str:
    """Return what is wrong with a stored sparse matrix, or ""."""
    sides = _compressed_and_other_side(group)
    if sides is None:
        return "it does not declare its shape"
    major, minor = sides
    if max(sides) > MAXIMUM_SIDE or min(sides) < 0:
        return f"its declared dimensions {major:,} and {minor:,} are impossible"
    pointers, indices, data = group["indptr"], group["indices"], group["data"]
    if pointers.shape != (major + 1,):
        return f"{pointers.size:,} pointers for {major:,} rows"
    indptr = np.asarray(pointers[:])
    if indptr[0] != 0 or (np.diff(indptr) < 0).any():
        return "its pointers do not increase"
    if not (indptr[-1],) == indices.shape == data.shape:
        return f"{indptr[-1]:,} values promised, {indices.size:,} indices and {data.size:,} values stored"
    for start in range(0, indices.size, PART):
        part = np.asarray(indices[start : start + PART])
        if not 0 <= part.min() <= part.max() < minor:
            return f"an index outside 0 to {minor - 1:,}"
    return ""


def _compressed_and_other_side(group: Any) -> tuple[int, int] | None:
    """Return the declared number of rows of a CSR (columns of a CSC) matrix, and the other dimension."""
    if "shape" in group:  # 10x: genes x cells, compressed by cell
        minor, major = (int(side) for side in group["shape"])
        return major, minor
    declared = group.attrs.get("shape", group.attrs.get("h5sparse_shape"))
    if declared is None:
        return None
    rows, columns = (int(side) for side in declared)
    kind = group.attrs.get("encoding-type", group.attrs.get("h5sparse_format", "csr"))
    return (rows, columns) if "csr" in str(kind) else (columns, rows)
