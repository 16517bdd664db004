"""Looks at stored matrices before they are loaded, the same for HDF5 and for zarr.

A group is anything with named arrays and `attrs`: `h5py.Group` and `zarr.Group` alike. Only the row
pointers are held whole; everything else is looked at a part at a time.
"""

from pathlib import Path
from typing import Any

import numpy as np

from sc_mamba2.cells.readers.faults import AGAIN
from sc_mamba2.errors import UserError

MAXIMUM_SIDE = 2**31 - 1
LARGEST_RATIO = 1100  # of unpacked to stored bytes; deflate cannot reach it
SURELY_FITS = 2**30  # bytes that are unpacked whatever the ratio
PART = 2**22  # indices that are looked at together


def check_sparse(group: Any, path: Path) -> None:
    """Refuse a stored sparse matrix that contradicts itself; other groups pass.

    Raises
    ------
    UserError
        Rule ``matrix-layout``.
    """
    if not {"data", "indices", "indptr"} <= set(group):
        return
    problem = _sparse_problem(group)
    if problem:
        raise UserError(
            "matrix-layout",
            found=f"{group.name} of {path.name}: {problem}",
            expected="a well-formed sparse matrix (CSR or CSC)",
            mend=AGAIN,
        )


def check_size(array: Any, stored: int, path: Path) -> None:
    """Refuse sizes that the stored bytes cannot unpack to.

    Raises
    ------
    UserError
        Rule ``matrix-layout``.
    """
    if array.nbytes > max(SURELY_FITS, LARGEST_RATIO * stored):
        raise UserError(
            "matrix-layout",
            found=f"{array.name} of {path.name} declares {array.shape} values in {stored:,} bytes",
            expected="as many values as the file holds",
            mend=AGAIN,
        )


def _sparse_problem(group: Any) -> str:
    """Say what is wrong with a stored sparse matrix, or nothing."""
    sides = _compressed_and_other_side(group)
    if sides is None:
        return "it does not declare its shape"
    major, minor = sides
    if max(sides) > MAXIMUM_SIDE or min(sides) < 0:
        return f"its declared sides {major:,} and {minor:,} cannot be right"
    pointers, indices, data = group["indptr"], group["indices"], group["data"]
    if pointers.shape != (major + 1,):
        return f"{pointers.size:,} pointers for {major:,} rows"
    indptr = np.asarray(pointers[:])
    if indptr[0] != 0 or (np.diff(indptr) < 0).any():
        return "its pointers do not rise"
    if not (indptr[-1],) == indices.shape == data.shape:
        return f"{indptr[-1]:,} values promised, {indices.size:,} indices and {data.size:,} values stored"
    for start in range(0, indices.size, PART):
        part = np.asarray(indices[start : start + PART])
        if not 0 <= part.min() <= part.max() < minor:
            return f"an index outside 0 to {minor - 1:,}"
    return ""


def _compressed_and_other_side(group: Any) -> tuple[int, int] | None:
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
