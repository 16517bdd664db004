"""Cells in the standard form, in blocks: the same as `standardise` returns for the whole."""

from collections.abc import Iterator
from typing import Any

import anndata as ad
import numpy as np

from sc_mamba2.cells.contract import check_tables
from sc_mamba2.cells.expression import (
    CELLS_PER_BLOCK,
    LAYER,
    choose_expression,
    clean_matrix,
    expression_candidates,
    spans,
)
from sc_mamba2.cells.keys import Kind
from sc_mamba2.cells.standard_form import StandardForm, decide_form
from sc_mamba2.cells.stored import StoredCells, StoredMatrix
from sc_mamba2.genes import GeneTable


def decide_stored_form(
    stored: StoredCells,
    table: GeneTable,
    cells_a_block: int,
    layer: str | None = None,
    holds: Kind | None = None,
) -> StandardForm:
    """Decide the standard form of cells that stay in their file, by `standardise`'s rules.

    The candidates' values are read in blocks, so that memory holds the tables, one block, and what
    `open_cells` loads. Errors are those of `RawCellsContract` and `standardise`.
    """
    check_tables(stored.tables())
    return decide_form(choose_expression(stored, table, layer, holds, cells_a_block), table)


def standard_blocks(
    stored: StoredCells,
    form: StandardForm,
    cells_a_block: int = CELLS_PER_BLOCK,
    kept: np.ndarray | None = None,
) -> Iterator[ad.AnnData]:
    """Yield the cells of an open source in the standard form decided for it.

    `cells_a_block` cells are read at a time; `kept`, (N,) bool, selects cells, ``None`` all.
    """
    for start, stop in spans(len(stored.obs), cells_a_block):
        rows = slice(None) if kept is None else np.flatnonzero(kept[start:stop])
        if kept is None or len(rows):
            yield standard_block(stored, form, start, stop, rows)


def standard_block(
    stored: StoredCells,
    form: StandardForm,
    start: int,
    stop: int,
    rows: slice | np.ndarray = slice(None),
) -> ad.AnnData:
    """Return the cells from `start` to before `stop`, or these `rows` of them, in the standard form."""
    obs = stored.obs.iloc[start:stop].iloc[rows]
    return form.apply(clean_matrix(_matrix(stored, form).read(start, stop)[rows]), obs)


def read_through(
    stored: StoredCells,
    table: GeneTable,
    layer: str | None = None,
    holds: Kind | None = None,
    cells_a_block: int = CELLS_PER_BLOCK,
) -> tuple[dict[str, Any], np.ndarray]:
    """Return `standardise`'s report on cells that stay in their file, and each cell's number of genes, (N,)."""
    form = decide_stored_form(stored, table, cells_a_block, layer, holds)
    matrix, cells = _matrix(stored, form), len(stored.obs)
    expressed_N, whole, kept = np.zeros(cells, dtype=np.int64), 0.0, 0.0
    for start, stop in spans(cells, cells_a_block):
        _, values = form.measure(clean_matrix(matrix.read(start, stop)))
        whole += values.sum(dtype=np.float64)
        values = values[:, form.kept]
        kept += values.sum(dtype=np.float64)
        expressed_N[start:stop] = np.diff(values.indptr)
    return form.whole_report(cells, kept, whole), expressed_N


def _matrix(stored: StoredCells, form: StandardForm) -> StoredMatrix:
    """Return the matrix chosen as the expression."""
    start_of, end_of = LAYER.split("{}")
    layer = form.origin.removeprefix(start_of).removesuffix(end_of)
    return expression_candidates(stored, layer)[0].matrix
