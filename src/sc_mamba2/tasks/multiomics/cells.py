"""From modalities as a person gave them to tables of the same cells, each feature with its identity."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells.keys import COUNTS_LAYER
from sc_mamba2.cells.modalities import (
    ATAC,
    PROTEIN,
    RNA,
    Pairing,
    pair_cells,
    standardise_peaks,
    standardise_proteins,
)
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.multiomics.params import FeatureParams
from sc_mamba2.tasks.shared.ingestion import ingest_cells
from sc_mamba2.tasks.shared.params import IngestionParams, ValidationParams
from sc_mamba2.tasks.shared.validation import validate_cells


@dataclass(frozen=True, eq=False)
class JointCells:
    """N cells of M modalities in standard form.

    Parameters
    ----------
    modalities
        By name: N rows each, in the order of `present`; a cell that lacks the modality is an empty row.
    present
        N x M, bool.
    obs
        The cells' table, as given.
    """

    modalities: dict[str, AnnData]
    present: pd.DataFrame
    obs: pd.DataFrame

    def values(self, kind: str) -> sparse.csr_matrix:
        """Return the values of a modality, N x its features."""
        return self.modalities[kind].X


def standardise_modalities(
    raw: dict[str, AnnData],
    features: FeatureParams,
    ingestion: IngestionParams,
    validation: ValidationParams,
) -> tuple[JointCells, dict[str, Any]]:
    """Pair the cells, and bring every modality into standard form.

    Returns
    -------
    cells
        RNA log-normalised, proteins as counts, peaks as 0 and 1.
    report
        A validation report of the RNA, what was found of the others, all remarks.

    Raises
    ------
    UserError
        Rules of pairing, of the RNA as everywhere, of proteins and peaks.
    """
    pairing = pair_cells(raw)
    standard, read = ingest_cells(raw[RNA], ingestion)
    found = {RNA: standard}
    _, report = validate_cells(standard, read, validation)
    remarks = [*pairing.remarks, *report["remarks"]]
    if PROTEIN in raw:
        table = load_gene_table(ingestion.gene_table)
        zero = features.zero_negative_proteins
        found[PROTEIN], report[PROTEIN] = standardise_proteins(raw[PROTEIN], table, zero)
    if ATAC in raw:
        found[ATAC], report[ATAC] = standardise_peaks(
            raw[ATAC],
            features.genome,
            features.peaks_as,
            features.bin_size,
            features.gene_distance,
            raw[RNA].var,
        )
    for kind in (PROTEIN, ATAC):
        remarks += report.get(kind, {}).pop("remarks", [])
    cells = {kind: _as_rows_of(pairing, part) for kind, part in found.items()}
    paired = {f"cells_with_{kind}": int(pairing.present[kind].sum()) for kind in cells}
    report |= {"remarks": remarks, "paired": paired}
    return JointCells(cells, pairing.present, pairing.obs), report


def _as_rows_of(pairing: Pairing, cells: AnnData) -> AnnData:
    """Return the cells in the order of the pairing, empty rows for those that are not there."""
    names = pairing.present.index
    rows = cells.obs_names.get_indexer(names)
    have = rows >= 0
    place = sparse.csr_matrix(
        (have[have].astype("float32"), (have.nonzero()[0], rows[have])), (len(names), cells.n_obs)
    )
    spread = AnnData(
        X=_sorted(place @ cells.X), obs=pd.DataFrame(index=names), var=cells.var.copy()
    )
    if COUNTS_LAYER in cells.layers:
        spread.layers[COUNTS_LAYER] = _sorted(place @ cells.layers[COUNTS_LAYER])
    return spread


def _sorted(matrix: sparse.spmatrix) -> sparse.csr_matrix:
    rows = sparse.csr_matrix(matrix)
    rows.sort_indices()
    return rows
