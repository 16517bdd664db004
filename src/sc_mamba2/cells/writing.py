"""Prepare cells for writing: entries that anndata cannot write are renamed or turned into text.

Whether anndata can write a value is tested by writing it to memory.
"""

import logging
from collections.abc import Mapping
from typing import Any, TypeVar

import anndata as ad
import h5py
import mudata
import numpy as np
import pandas as pd
from scipy import sparse

Written = TypeVar("Written", ad.AnnData, mudata.MuData)
RESERVED = "_index"
_TABLES = ("obs", "var")
_ARRAYS = ("obsm", "varm", "obsp", "varp", "layers")
_log = logging.getLogger(__name__)


def writable(cells: Written) -> Written:
    """Return cells that can be written: those given if possible, else a changed copy.

    A slash in a key becomes an underscore, and a column called `RESERVED` is renamed; columns of
    unusual types (nullable text, dates, intervals, mixed types) become text; an entry of `uns` that
    cannot be written becomes a list or text. What was changed or left out is logged.
    """
    changed: list[str] = []
    if isinstance(cells, mudata.MuData):
        own = {name: _writable(part, changed, f"{name}: ") for name, part in cells.mod.items()}
        parts = _parts(cells, changed)
        if changed:
            cells = cells.copy()
            cells.mod.update(own)
            for name, value in parts.items():
                setattr(cells, name, value)
    else:
        cells = _writable(cells, changed)
    if changes := [text for text in changed if text]:
        _log.warning("Changed for writing: %s", "; ".join(changes))
    return cells


def _parts(
    cells: ad.AnnData | mudata.MuData, changed: list[str], where: str = ""
) -> dict[str, Any]:
    """Return the tables, arrays and `uns` in a writable form; appends what was changed to `changed`.

    A change that nobody needs to know is appended as "".
    """
    parts: dict[str, Any] = {
        name: writable_table(getattr(cells, name), f"{where}{name}", changed) for name in _TABLES
    }
    for name in _ARRAYS:
        if getattr(cells, name, None) is not None:  # a MuData has no layers
            parts[name] = _mapping(dict(getattr(cells, name)), f"{where}{name}", changed)
    parts["uns"] = _mapping(dict(cells.uns), f"{where}uns", changed)
    return parts


def _writable(cells: ad.AnnData, changed: list[str], where: str = "") -> ad.AnnData:
    before = len(changed)
    parts = _parts(cells, changed, where)
    raw = cells.raw
    if raw is not None:
        own = ad.AnnData(raw.X, var=raw.var)
        parts["raw"] = {
            "X": raw.X,
            "var": writable_table(own.var, f"{where}raw.var", changed),
            "varm": _mapping(dict(raw.varm), f"{where}raw.varm", changed),
        }
    if len(changed) == before:
        return cells
    return ad.AnnData(X=cells.X, **parts)


def writable_table(table: pd.DataFrame, where: str, changed: list[str]) -> pd.DataFrame:
    """Return a writable table; appends what was changed to `changed`."""
    columns: dict[str, pd.Series] = {}
    before = len(changed)
    for place, name in enumerate(table.columns):
        column = table.iloc[:, place]
        free = _free_name(name, columns, table.columns[place + 1 :])
        if free != name:
            changed.append(f"{where}[{name!r}] was renamed to {free!r}")
        if not _is_writable(column.reset_index(drop=True).to_frame("column")):
            own, column = column, _as_text(column)
            text = own.dtype == object and pd.api.types.infer_dtype(own, skipna=True) == "string"
            changed.append("" if text else f"{where}[{name!r}] ({own.dtype}) became text")
        columns[free] = column
    index = table.index
    if index.dtype != object:
        index = pd.Index(index.astype(str).to_numpy(dtype=object), name=index.name)
        changed.append("")
    if index.name is not None and (index.name in columns or index.name == RESERVED):
        index = index.rename(None)
        changed.append("")
    if len(changed) == before:
        return table
    return pd.DataFrame({name: column.array for name, column in columns.items()}, index=index)


def _free_name(name: Any, taken: Mapping[str, Any], others: pd.Index) -> str:
    free = str(name).replace("/", "_")
    if free in (RESERVED, "", ".", ".."):
        free = "index" if free == RESERVED else "unnamed"
    start, number = free, 1
    while free in taken or (free != name and free in set(map(str, others))):
        free, number = f"{start}_{number}", number + 1
    return free


def _as_text(column: pd.Series) -> pd.Series:
    """Return a column as text categories, or as booleans; missing values stay missing."""
    values = column.astype(object)
    missing = column.isna().to_numpy()
    kinds = {type(value) for value in values[~missing]}
    if kinds <= {bool, np.bool_} and kinds:
        return pd.Series(pd.array(values.where(~missing, None), dtype="boolean"), column.index)
    text = column.astype(str).astype(object).where(~missing, None)
    return pd.Series(pd.Categorical(text), index=column.index)


def _mapping(entries: dict[Any, Any], where: str, changed: list[str]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for place, (name, value) in enumerate(entries.items()):
        free = _free_name(name, made, pd.Index(list(entries)[place + 1 :]))
        if free != name:
            changed.append(f"{where}[{name!r}] was renamed to {free!r}")
        kept = _entry(value, f"{where}[{name!r}]", changed)
        if kept is _NOTHING:
            changed.append(f"{where}[{name!r}] ({type(value).__name__}) was dropped")
        else:
            made[free] = kept
    return made


_NOTHING = object()


def _entry(value: Any, where: str, changed: list[str]) -> Any:
    """Return a writable form of an entry, or `_NOTHING`."""
    if isinstance(value, Mapping):
        return _mapping(dict(value), where, changed)
    if isinstance(value, pd.DataFrame):
        return writable_table(value, where, changed)
    if sparse.issparse(value) or (isinstance(value, np.ndarray) and value.dtype.kind in "iubfc"):
        return value
    if _is_writable(value):
        return value
    for made in _simpler_forms(value):
        if _is_writable(made):
            changed.append(f"{where} ({type(value).__name__}) became {_type_name(made)}")
            return made
    return _NOTHING


def _type_name(value: Any) -> str:
    return "text" if isinstance(value, str) else "a table" if isinstance(value, dict) else "a list"


def _simpler_forms(value: Any) -> list[Any]:
    """Return simpler forms of a value to try to write, the most faithful first."""
    if isinstance(value, pd.Series):
        return [
            value.to_frame(str(value.name or "values")),
            value.astype(str).to_numpy(dtype=object),
        ]
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if isinstance(value, np.ndarray | pd.Index | pd.api.extensions.ExtensionArray):
        plain = np.asarray(value)
        if plain.dtype.names:
            return [{name: plain[name] for name in plain.dtype.names}]
        text = np.array([str(item) for item in plain.ravel()], dtype=object)
        return [text.reshape(plain.shape)]
    if isinstance(value, tuple | list):
        plain = list(value)
        flat = all(isinstance(item, str | int | float | bool | np.generic) for item in plain)
        return [np.asarray(plain)] if flat else [np.array([str(item) for item in plain], object)]
    if isinstance(value, bytes):
        return [value.decode(errors="replace")]
    named = type(value).__module__.split(".")[0] in ("pandas", "datetime", "pathlib", "decimal")
    return [str(value)] if named else []


def _is_writable(value: Any) -> bool:
    """Whether anndata can write a value."""
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        try:
            ad.io.write_elem(file, "value", value)
        except Exception:
            return False
    return True
