"""Validation: refuse what would give a wrong result, remark on the rest."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from anndata import AnnData

from sc_mamba2.cells import check_matched, keys
from sc_mamba2.tasks.shared.params import ValidationParams

Remark = dict[str, str]


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


def refuse_unmatched(genes: dict[str, Any], params: ValidationParams) -> None:
    """Refuse cells of whose genes too few are known.

    Raises
    ------
    UserError
        Rule ``genes-matched``.
    """
    check_matched(genes, params.minimum_matched_share, params.minimum_genes)


def remarks(
    expressed: np.ndarray, genes: dict[str, Any], counted: bool, params: ValidationParams
) -> Iterator[Remark]:
    """Give what a person should know but need not mend, each with its rule.

    Parameters
    ----------
    expressed
        (N,) genes a cell.
    genes
        Counts of matched and dropped genes.
    counted
        Whether counts were found.
    params
        The limits.
    """
    empty = int((expressed == 0).sum())
    few = int((expressed < params.few_genes_a_cell).sum()) - empty
    dropped = genes["total"] - genes["kept"]
    if empty:
        yield _remark(
            "cells-empty", f"{empty:,} cells have no expressed gene; their result means nothing"
        )
    if few > 0:
        yield _remark(
            "cells-poor", f"{few:,} cells express fewer than {params.few_genes_a_cell} genes"
        )
    if dropped:
        yield _remark(
            "genes-dropped",
            f"{dropped:,} of {genes['total']:,} genes were dropped: {genes['unknown']:,} unknown, "
            f"{genes['ambiguous']:,} ambiguous, {genes['retired']:,} retired, "
            f"{genes['duplicate']:,} second columns of one gene",
        )
    if not counted:
        yield _remark("counts-absent", "no counts were found; normalised values were used instead")


def quartiles(expressed: np.ndarray) -> dict[str, float]:
    """Return quartiles of the genes a cell."""
    found = np.percentile(expressed, [25, 50, 75])
    return dict(zip(("q25", "median", "q75"), map(float, found), strict=True))


def _remark(rule: str, text: str) -> Remark:
    return {"rule": rule, "remark": text}
