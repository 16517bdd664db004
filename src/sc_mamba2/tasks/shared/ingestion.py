"""Node of ingestion: cells as a person wrote them become cells in the standard form."""

from typing import Any

from anndata import AnnData

from sc_mamba2.cells import standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.shared.params import IngestionParams


def ingest_cells(raw_cells: AnnData, params: IngestionParams) -> tuple[AnnData, dict[str, Any]]:
    """Map the genes, choose the expression, and log-normalise it.

    Parameters
    ----------
    raw_cells
        Cells as read; they keep `RawCellsContract`.
    params
        Layer and gene table.

    Returns
    -------
    cells
        The standard form (see `sc_mamba2.cells.standard_form`).
    ingestion_report
        What was read, matched and dropped.
    """
    return standardise(raw_cells, load_gene_table(params.gene_table), params.layer)
