"""Check a source of cells without reading it: whether it exists, and its columns and layers.

Only h5py is imported, unless a column is read. The rest is left to `readers`, which check the whole file.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.remote import SOMA

if TYPE_CHECKING:
    import pandas as pd

FORMATS = "cells as .h5ad, .zarr, .h5mu, .loom, Cell Ranger .h5 or a folder with matrix.mtx"
SOURCES = (
    "scanpy:pbmc68k_reduced", "simulated:three-types", "simulated:perturbations",
    "simulated:rna-atac", "simulated:rna-protein",
)  # fmt: skip


def missing_file(path: Path, found: str | None = None) -> UserError:
    """Return the error for a path that does not exist (rule ``file-missing``)."""
    siblings = [other.name for other in path.parent.glob("*")] if path.parent.is_dir() else []
    return UserError(
        "file-missing",
        found=found or f"no file at '{path}'",
        expected=FORMATS,
        mend="check the path" + nearest(path.name, siblings),
    )


def missing_column(
    column: str, columns: Iterable[Any], rule: str, option: str, where: str = "obs"
) -> UserError:
    """Return the error for a missing column; `option` is the setting that names it."""
    columns = list(map(str, columns))
    return UserError(
        rule,
        found=f"no column '{column}' in {where}",
        expected=f"one of: {', '.join(columns) or 'obs has no columns'}",
        mend=f"choose a column of obs with {option}" + nearest(column, columns),
    )


def missing_layer(layer: str, layers: Iterable[str]) -> UserError:
    """Return the error for a missing layer (rule ``layer-missing``); `layers` are those present."""
    layers = list(layers)
    return UserError(
        "layer-missing",
        found=f"no layer '{layer}'",
        expected=f"one of: {', '.join(layers) or 'none in this file'}",
        mend="choose one of these, or omit --layer" + nearest(layer, layers),
    )


def unnamed_source() -> UserError:
    """Return the error for a run without a source of cells (rule ``source-none``)."""
    return UserError(
        "source-none",
        found="no file of cells was given",
        expected="a path or a named source",
        mend="pass it: --input FILE for the reference, --params query=FILE for the query",
    )


def unknown_source(source: str, known: Iterable[str]) -> UserError:
    """Return the error for an unknown named source (rule ``source-unknown``)."""
    return UserError(
        "source-unknown",
        found=f"the source '{source}'",
        expected=f"one of {', '.join(known)}, or a file",
        mend="use one of these names or a path" + nearest(source, known),
    )


def other_format(path: Path, found: str) -> UserError:
    """Return the error for a readable file that holds no known kind of cells."""
    return UserError(
        "file-format",
        found=f"{path.name} {found}",
        expected=FORMATS,
        mend="read it with the tool that made it and save it with adata.write_h5ad()",
    )


def check_hdf5(path: Path) -> None:
    """Refuse a file that is unreadable, empty, or not HDF5."""
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
            found=f"'{path}' is empty (0 bytes)",
            expected=FORMATS,
            mend="copy or download the file again",
        )
    if path.name.endswith((".mtx", ".mtx.gz")):
        raise UserError(
            "file-format",
            found=f"{path.name} is a matrix without the names of its cells and genes",
            expected="the folder that contains all three",
            mend=f"give the folder: '{path.resolve().parent}'",
        )
    if not h5py.is_hdf5(path):  # not by the first bytes: mudata puts a line of text there
        raise other_format(path, "is not an HDF5 file")


def check_exists(source: str) -> Path | None:
    """Return the path of a source, ``None`` for a named one; refuse a missing or unusable one.

    Raises
    ------
    UserError
        Rules ``source-unknown``, ``file-missing``, ``file-unreadable``, ``file-empty`` and ``file-format``.
    """
    if source.startswith(SOMA):
        return None
    if source.startswith(tuple({f"{name.split(':')[0]}:" for name in SOURCES})):
        if source not in SOURCES:
            raise unknown_source(source, SOURCES)
        return None
    path = Path(source)
    if not path.exists():
        raise missing_file(path)
    if path.is_file():
        check_hdf5(path)
    return path


def columns_and_layers(path: Path) -> tuple[list[str], list[str]] | None:
    """Return the obs columns and layers of an .h5ad, .h5mu or zarr, ``None`` if they cannot be read here.

    For several modalities, the columns of all are returned.
    """
    try:
        if path.is_dir():
            columns = _column_order(path / "obs")
            layers = path / "layers"
            names = (
                [one.name for one in layers.iterdir() if one.is_dir()] if layers.is_dir() else []
            )
            return None if columns is None else (columns, names)
        with h5py.File(path, "r") as file:
            tables = [file, *(file["mod"].values() if "mod" in file else ())]
            found = [_columns(table["obs"]) for table in tables]
            layers = [name for table in tables for name in table.get("layers", ())]
            return list(dict.fromkeys(name for names in found for name in names)), layers
    except (OSError, KeyError, ValueError, AttributeError, TypeError, RuntimeError):
        return None  # the readers report what is wrong


def table_of(path: Path, columns: Iterable[str]) -> "pd.DataFrame | None":
    """Return only some obs columns of an .h5ad, ``None`` if they cannot be read here."""
    import anndata as ad
    import pandas as pd

    from sc_mamba2.cells.readers.probe import probe_hdf5

    try:
        probe_hdf5(path)
        with h5py.File(path, "r") as file:
            obs = file["obs"]
            names = ad.io.read_elem(obs[obs.attrs["_index"]]).astype(str)
            if any("categories" in obs[name].attrs for name in columns):
                return None  # before anndata 0.8
            found = {name: ad.io.read_elem(obs[name]) for name in columns}
            return pd.DataFrame(found, index=names) if len(names) else None
    except Exception:  # the readers report what is wrong
        return None


def _columns(obs: Any) -> list[str]:
    if isinstance(obs, h5py.Dataset):  # before anndata 0.7
        return list(obs.dtype.names[1:])
    order = obs.attrs["column-order"]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in order]


def _column_order(folder: Path) -> list[str] | None:
    """Read the column order of a zarr table, format 3 or 2."""
    for mark, inside in (("zarr.json", "attributes"), (".zattrs", None)):
        if (folder / mark).is_file():
            attributes = json.loads((folder / mark).read_text(encoding="utf-8"))
            order = (attributes[inside] if inside else attributes)["column-order"]
            return list(map(str, order))
    return None
