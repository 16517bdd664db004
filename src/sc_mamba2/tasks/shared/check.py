"""Check one file, or cells in memory, outside of any run: the same functions that the pipeline's nodes are."""

from typing import Any

from anndata import AnnData

from sc_mamba2.cells import RawCellsContract, read_cells, read_labels
from sc_mamba2.tasks.shared.params import IngestionParams, ValidationParams
from sc_mamba2.tasks.shared.validation import ingest_cells, validate_cells


def check_source(source: str, layer: str | None, label_key: str | None) -> dict[str, Any]:
    """Read, standardise and validate a source of cells.

    Parameters
    ----------
    source
        A file or a named source.
    layer
        Layer with the expression, or ``None``.
    label_key
        Column of labels to check too, or ``None``.

    Returns
    -------
    dict
        The validation report, the columns of `obs`, and the cells a label.

    Raises
    ------
    UserError
        The first broken rule.
    """
    return check_cells(read_cells(source), layer, label_key)


def check_cells(cells: AnnData, layer: str | None, label_key: str | None) -> dict[str, Any]:
    """Do as `check_source` for cells in memory, which stay as they are."""
    raw = RawCellsContract().validate(cells)
    labels = read_labels(raw.obs, label_key).value_counts().to_dict() if label_key else {}
    standard, ingestion_report = ingest_cells(raw, IngestionParams(layer=layer))
    _, report = validate_cells(standard, ingestion_report, ValidationParams())
    return report | {"columns": list(map(str, raw.obs.columns)), "labels": labels}
