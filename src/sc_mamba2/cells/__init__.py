"""Cells: the AnnData contract. Readers, checks, the one standard form, and the names of keys."""

from sc_mamba2.cells.contract import CellsContract, RawCellsContract
from sc_mamba2.cells.expression import Expression, choose_expression, log_normalise
from sc_mamba2.cells.labels import label_text, read_labels
from sc_mamba2.cells.readers import EMBEDDED, read_cells
from sc_mamba2.cells.simulate import simulate_cells
from sc_mamba2.cells.standardise import standardise

__all__ = [
    "EMBEDDED",
    "CellsContract",
    "Expression",
    "RawCellsContract",
    "choose_expression",
    "label_text",
    "log_normalise",
    "read_cells",
    "read_labels",
    "simulate_cells",
    "standardise",
]
