"""Cells: the AnnData contract. Readers, checks, the one standard form, and the names of keys."""

from sc_mamba2.cells.blocks import iter_cells
from sc_mamba2.cells.contract import CellsContract, RawCellsContract, check_matched
from sc_mamba2.cells.copying import CopiedCells, write_copy
from sc_mamba2.cells.expression import Expression, choose_expression, log_normalise
from sc_mamba2.cells.labels import label_text, read_labels
from sc_mamba2.cells.perturbations import (
    base_and_dose,
    canonical_name,
    parts_of,
    read_perturbations,
)
from sc_mamba2.cells.readers import EMBEDDED, read_cells
from sc_mamba2.cells.simulate import simulate_cells, simulate_perturbed
from sc_mamba2.cells.standardise import standardise

__all__ = [
    "EMBEDDED",
    "CellsContract",
    "CopiedCells",
    "Expression",
    "RawCellsContract",
    "base_and_dose",
    "canonical_name",
    "check_matched",
    "choose_expression",
    "iter_cells",
    "label_text",
    "log_normalise",
    "parts_of",
    "read_cells",
    "read_labels",
    "read_perturbations",
    "simulate_cells",
    "simulate_perturbed",
    "standardise",
    "write_copy",
]
