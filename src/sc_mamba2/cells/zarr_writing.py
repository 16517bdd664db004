"""Write a zarr folder in parts: shards of many chunks keep the number of files and the memory low."""

import logging
from collections.abc import Iterable
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import zarr

from sc_mamba2.cells.readers.anndata_group import ARRAYS, array_names
from sc_mamba2.cells.writing import writable_table

_BYTES_PER_CHUNK, _CHUNKS_PER_SHARD = 2**20, 32
_SPARSE = ("csr_matrix", "csc_matrix")
_log = logging.getLogger(__name__)


def copy_h5ad(file: h5py.File, group: zarr.Group) -> None:
    """Write a whole `.h5ad` file of the current layout to an empty group, at most a shard in memory.

    Tables and other parts that anndata keeps in memory are read whole. Slashes in keys become underscores.
    """
    group.attrs.update(_plain(file.attrs))
    # Lists of names: h5py is locked while iterating, and zarr's threads may free h5py objects.
    for name in list(file):
        member = file[name]
        if name in ARRAYS:
            ad.io.write_elem(group, name, {})
            for key in list(array_names(member)):
                new = key.replace("/", "_")
                while new != key and (new in member or new in group[name]):
                    new += "_"
                if new != key:
                    _log.warning("%s['%s'] was renamed to '%s'", name, key, new)
                _copy(member[key], group[name], new)
        elif name == "raw":
            inside = group.create_group(name, attributes=_plain(member.attrs))
            for key in list(member):
                _copy(member[key], inside, key)
        else:
            _copy(member, group, name)


def write_rows(group: zarr.Group, name: str, shape: tuple[int, ...], parts: Iterable[Any]) -> None:
    """Write an array whose rows arrive in parts, in order; each shard is written once."""
    waiting: list[np.ndarray] = []
    start, made = 0, None
    for part in parts:
        if made is None:
            made = _new_array(group, name, shape, part.dtype)
        waiting.append(part)
        together = (made.shards or made.chunks)[0]
        while sum(map(len, waiting)) >= together:
            rows = np.concatenate(waiting)
            made[start : start + together] = rows[:together]
            start, waiting = start + together, [rows[together:]]
    if made is not None and (rest := sum(map(len, waiting))):
        made[start : start + rest] = np.concatenate(waiting)
        start += rest
    assert made is None or start == shape[0], "the parts are all rows of the array"


def _copy(old: Any, parent: zarr.Group, name: str) -> None:
    kind = old.attrs.get("encoding-type")
    if kind in _SPARSE:
        inside = parent.create_group(name, attributes=_plain(old.attrs))
        for part in list(old):
            _copy_array(old[part], inside, part)
    elif kind == "array" and old.dtype.kind in "biuf" and old.size:
        _copy_array(old, parent, name)
        parent[name].attrs.update(_plain(old.attrs))
    else:
        value = ad.io.read_elem(old)
        if isinstance(value, pd.DataFrame):
            changed: list[str] = []
            value = writable_table(value, name, changed)
            if changes := [text for text in changed if text]:
                _log.warning("Changed for writing: %s", "; ".join(changes))
        ad.io.write_elem(parent, name, value)


def _copy_array(old: h5py.Dataset, parent: zarr.Group, name: str) -> None:
    if not old.size:
        parent.create_array(name, data=old[:])
        return
    step = _rows_per_chunk(old.shape, old.dtype) * _CHUNKS_PER_SHARD
    parts = (old[start : start + step] for start in range(0, old.shape[0], step))
    write_rows(parent, name, old.shape, parts)


def _new_array(parent: zarr.Group, name: str, shape: tuple[int, ...], dtype: Any) -> zarr.Array:
    rows = _rows_per_chunk(shape, dtype)
    sharded = parent.metadata.zarr_format == 3 and shape[0] > rows
    return parent.create_array(
        name,
        shape=shape,
        dtype=dtype,
        chunks=(rows, *shape[1:]),
        shards=(rows * _CHUNKS_PER_SHARD, *shape[1:]) if sharded else None,
        config={"write_empty_chunks": True},  # a missing chunk counts as damage
        overwrite=True,
    )


def _rows_per_chunk(shape: tuple[int, ...], dtype: Any) -> int:
    row = int(np.prod(shape[1:], dtype=np.int64)) * np.dtype(dtype).itemsize
    return max(1, min(shape[0], _BYTES_PER_CHUNK // max(1, row)))


def _plain(attributes: Any) -> dict[str, Any]:
    """Return HDF5 attributes as JSON-able values."""
    return {
        name: value.tolist() if hasattr(value, "tolist") else value
        for name, value in attributes.items()
    }
