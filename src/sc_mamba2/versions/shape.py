"""What came and what was expected: cells, genes and proteins of a file, beside the stated numbers."""

from pathlib import Path

import anndata as ad
import h5py

from sc_mamba2.cells.opening import open_cells
from sc_mamba2.cells.readers import detect_format
from sc_mamba2.versions.registry import Expected


def shape_of(path: Path) -> dict[str, int]:
    """Count cells, genes, and proteins where a table of obsm is called so.

    Raises
    ------
    UserError
        The file is no file of cells, or is damaged (rules of `open_cells`).
    """
    with open_cells(path) as cells:
        shape = {"cells": len(cells.obs), "genes": len(cells.var)}
    proteins = _proteins(path) if detect_format(path) == "h5ad" else None
    return shape if proteins is None else shape | {"proteins": proteins}


def unlike(expected: Expected, shape: dict[str, int]) -> list[str]:
    """Say in words where a shape differs from the stated one."""
    stated = {name: getattr(expected, name) for name in ("cells", "genes", "proteins")}
    return [
        f"{shape.get(name, 0):,} {name}, stated are {number:,}"
        for name, number in stated.items()
        if number is not None and shape.get(name) != number
    ]


def _proteins(path: Path) -> int | None:
    with h5py.File(path, "r") as file:
        tables = file.get("obsm", {})
        name = next((name for name in tables if name.startswith("protein")), None)
        return None if name is None else int(ad.io.read_elem(tables[name]).shape[1])
