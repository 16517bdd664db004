"""Preparation in scanpy's manner: are the cells good, and what would be read from them."""

from typing import Any

from anndata import AnnData

from sc_mamba2.cells.adding import readable_cells
from sc_mamba2.tasks.shared.check import check_cells

__all__ = ["validate"]


def validate(
    adata: AnnData, *, label_key: str | None = None, layer: str | None = None
) -> dict[str, Any]:
    """Check cells, and report what would be read and dropped; as `scm validate`.

    Parameters
    ----------
    adata
        Cells; they stay as they are.
    label_key
        Column of `obs` with labels to check too.
    layer
        Layer with the expression; else the first usable matrix.

    Returns
    -------
    dict
        The report: cells, expression, genes matched and dropped, expressed genes a cell, columns,
        labels, remarks.

    Raises
    ------
    UserError
        The first broken rule.

    Examples
    --------
    >>> import sc_mamba2 as scm
    >>> from sc_mamba2.cells import simulate_cells
    >>> report = scm.pp.validate(simulate_cells(cells=12))
    >>> report["expression"]["origin"], report["genes"]["matched"]
    ('X', 200)
    """
    return check_cells(readable_cells(adata), layer, label_key)
