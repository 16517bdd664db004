"""Cells in the standard form, a block at a time: the same as `standardise` gives for the whole."""

from collections.abc import Iterator

import anndata as ad
import numpy as np

from sc_mamba2.cells.contract import check_tables
from sc_mamba2.cells.expression import (
    MatrixFacts,
    choose_origin,
    clean_matrix,
    expression_candidates,
    look_at_values,
)
from sc_mamba2.cells.standard_form import StandardForm, column_totals, decide_form
from sc_mamba2.cells.stored import StoredCells, StoredMatrix
from sc_mamba2.genes import GeneTable

CELLS_A_BLOCK = 4096


def decide_stored_form(
    stored: StoredCells, table: GeneTable, cells_a_block: int, layer: str | None = None
) -> StandardForm:
    """Decide the standard form of cells that stay in their file, by `standardise`'s rules.

    The candidates' values are looked at a block at a time, so that memory holds the tables, one block,
    and what `open_cells` says. Errors are those of `RawCellsContract` and `standardise`.
    """
    check_tables(stored.tables())
    candidates = expression_candidates(stored, layer)
    facts, totals = {}, {}
    for origin, (matrix, _) in candidates.items():
        facts[origin], totals[origin] = _look_through(matrix, cells_a_block)
        if facts[origin].whole and not facts[origin].fault:
            break  # the first counts are chosen, whatever comes behind them
    origin, kind = choose_origin(facts, layer)
    return decide_form(origin, kind, candidates[origin][1], totals[origin], table)


def standard_blocks(
    stored: StoredCells,
    form: StandardForm,
    cells_a_block: int = CELLS_A_BLOCK,
    kept: np.ndarray | None = None,
) -> Iterator[ad.AnnData]:
    """Give the cells of an open source in the standard form that was decided for it.

    `cells_a_block` are read together; `kept`, (N,) bool, says which of them are given, ``None`` all.
    """
    named = form.origin.startswith("layers[")
    layer = form.origin.removeprefix("layers[").removesuffix("]") if named else None
    matrix, _ = expression_candidates(stored, layer)[form.origin]
    for start, stop in _spans(len(stored.obs), cells_a_block):
        rows = slice(None) if kept is None else np.flatnonzero(kept[start:stop])
        obs = stored.obs.iloc[start:stop].iloc[rows]
        if len(obs):
            yield form.apply(clean_matrix(matrix.read(start, stop)[rows]), obs)


def _spans(cells: int, together: int) -> Iterator[tuple[int, int]]:
    for start in range(0, cells, together):
        yield start, min(start + together, cells)


def _look_through(matrix: StoredMatrix, cells_a_block: int) -> tuple[MatrixFacts, np.ndarray]:
    """Gather the facts and the column sums of a matrix; sums stop where it is unusable."""
    facts: MatrixFacts | None = None
    totals = np.zeros(matrix.shape[1])
    for start, stop in _spans(matrix.shape[0], cells_a_block):
        rows = matrix.read(start, stop)
        seen = look_at_values(rows)
        facts = seen if facts is None else facts + seen
        if not facts.fault:
            totals += column_totals(clean_matrix(rows))
    return facts or look_at_values(np.zeros(0)), totals
