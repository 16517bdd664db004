"""An AnnData in an HDF5 file or a zarr folder, including arrays with slashes in their keys.

A slash creates a nested group, which anndata mistakes for a table.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import h5py

from sc_mamba2.cells.readers.memory import check_memory, stored_bytes
from sc_mamba2.cells.readers.zarr_folder import open_zarr

ARRAYS = ("obsm", "varm", "obsp", "varp", "layers")
_MARKS = ("encoding-type", "h5sparse_format")


def read_h5ad(path: Path) -> ad.AnnData:
    """Read an `.h5ad` file; a key with a slash remains one key."""
    with h5py.File(path, "r") as file:
        check_memory(stored_bytes(file), path)
        if _has_slashes(file):
            return _read(file)
    return ad.read_h5ad(path)


def read_zarr(path: Path) -> ad.AnnData:
    """Like `read_h5ad`, for a zarr folder."""
    group = open_zarr(path)
    check_memory(stored_bytes(group), path)
    return _read(group) if _has_slashes(group) else ad.read_zarr(group)


def array_names(group: Any, before: str = "") -> Iterator[str]:
    """Yield the keys of the arrays in a group such as ``layers``."""
    for name in group:
        member = group[name]
        table = hasattr(member, "keys") and not any(mark in member.attrs for mark in _MARKS)
        if table or (hasattr(member, "keys") and member.attrs.get("encoding-type") == "dict"):
            yield from array_names(member, f"{before}{name}/")
        else:
            yield f"{before}{name}"


def _has_slashes(group: Any) -> bool:
    # A table that is not a group is from anndata 0.6, which wrote no such keys.
    tables = [group[name] for name in ARRAYS if name in group and hasattr(group[name], "keys")]
    return any("/" in name for table in tables for name in array_names(table))


def _read(group: Any) -> ad.AnnData:
    parts = {
        name: ad.io.read_elem(group[name]) for name in ("X", "obs", "var", "uns") if name in group
    }
    for name in ARRAYS:
        if name in group:
            keys = array_names(group[name])
            parts[name] = {key: ad.io.read_elem(group[f"{name}/{key}"]) for key in keys}
    if "raw" in group:
        held = [name for name in ("X", "var", "varm") if name in group["raw"]]
        parts["raw"] = {name: ad.io.read_elem(group[f"raw/{name}"]) for name in held}
    return ad.AnnData(**parts)
