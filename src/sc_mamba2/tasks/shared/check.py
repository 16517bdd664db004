"""Check cells outside of a run, block by block, with the result of the ingestion and validation nodes."""

from typing import Any

from sc_mamba2.cells import read_labels
from sc_mamba2.cells.blocks import read_through
from sc_mamba2.cells.opening import Source, open_cells
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.shared.params import IngestionParams, ValidationParams
from sc_mamba2.tasks.shared.validation import validation_report


def check_source(
    source: Source, ingestion: IngestionParams, label_key: str | None
) -> dict[str, Any]:
    """Read all cells and validate them.

    Parameters
    ----------
    source
        A file, a named source, or cells in memory, which are not modified.
    label_key
        Column of labels to check as well, or ``None``.

    Returns
    -------
    dict
        The validation report, the columns of `obs`, and the number of cells per label.

    Raises
    ------
    UserError
        The first broken rule.
    """
    with open_cells(source) as stored:
        obs = stored.obs
        labels = read_labels(obs, label_key).value_counts().to_dict() if label_key else {}
        table = load_gene_table(ingestion.gene_table)
        report, expressed = read_through(stored, table, ingestion.layer, ingestion.holds)
    report = validation_report(report, expressed, obs, ValidationParams())
    return report | {"columns": list(map(str, obs.columns)), "labels": labels}
