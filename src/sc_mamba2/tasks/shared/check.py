"""Check one file, or cells in memory, outside of any run: the same functions that the pipeline's nodes are."""

from typing import Any

from anndata import AnnData

from sc_mamba2.cells import read_cells, read_labels
from sc_mamba2.tasks.shared.params import IngestionParams, ValidationParams
from sc_mamba2.tasks.shared.validation import take_valid


def check_source(source: str, ingestion: IngestionParams, label_key: str | None) -> dict[str, Any]:
    """Read, standardise and validate a source of cells.

    Parameters
    ----------
    source
        A file or a named source.
    ingestion
        Which matrix is the expression, and what it holds.
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
    return check_cells(read_cells(source), ingestion, label_key)


def check_cells(
    cells: AnnData, ingestion: IngestionParams, label_key: str | None
) -> dict[str, Any]:
    """Do as `check_source` for cells in memory, which stay as they are."""
    labels = read_labels(cells.obs, label_key).value_counts().to_dict() if label_key else {}
    _, report = take_valid(cells, ingestion, ValidationParams())
    return report | {"columns": list(map(str, cells.obs.columns)), "labels": labels}
