"""Several modalities of the same cells: opening, pairing by cell, and stable feature names.

RNA is read as elsewhere (`cells.standard_form`); this package has only what the other modalities need.
`tokens` turns values into tokens.
"""

from sc_mamba2.cells.modalities.kinds import ATAC, MODALITIES, PROTEIN, RNA
from sc_mamba2.cells.modalities.opening import read_modalities
from sc_mamba2.cells.modalities.pairing import Pairing, pair_cells
from sc_mamba2.cells.modalities.peaks import standardise_peaks
from sc_mamba2.cells.modalities.proteins import standardise_proteins

__all__ = [
    "ATAC",
    "MODALITIES",
    "PROTEIN",
    "RNA",
    "Pairing",
    "pair_cells",
    "read_modalities",
    "standardise_peaks",
    "standardise_proteins",
]
