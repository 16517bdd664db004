"""Node of validation: refuse what would give a wrong result, report the rest."""

from typing import Any

import numpy as np
from anndata import AnnData

from sc_mamba2.cells import keys
from sc_mamba2.pipelines.validation.params import ValidationParams
from sc_mamba2.pipelines.validation.rules import quartiles, refuse_unmatched, remarks


def validate_cells(
    cells: AnnData, ingestion_report: dict[str, Any], params: ValidationParams
) -> tuple[AnnData, dict[str, Any]]:
    """Check cells in the standard form.

    Parameters
    ----------
    cells
        The standard form.
    ingestion_report
        What ingestion matched and dropped.
    params
        The limits.

    Returns
    -------
    valid_cells
        The same cells.
    validation_report
        Shape, expressed genes a cell (quartiles), and the remarks.

    Raises
    ------
    UserError
        Too few genes are known.
    """
    genes = ingestion_report["genes"]
    refuse_unmatched(genes, params)
    expressed = np.diff(cells.X.indptr)
    counted = keys.COUNTS_LAYER in cells.layers
    report = ingestion_report | {
        "genes_a_cell": quartiles(expressed),
        "remarks": list(remarks(expressed, genes, counted, params)),
    }
    return cells, report
