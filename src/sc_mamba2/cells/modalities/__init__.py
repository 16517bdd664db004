"""Several modalities of the same cells: opened, paired by cell, their features named for good.

RNA itself is read as everywhere (`cells.standard_form`); here stands what only the others need. Values
become tokens in `tokens`.
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
