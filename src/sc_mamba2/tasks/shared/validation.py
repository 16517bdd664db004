"""Ingest and validate cells: bring them into the standard form, check them, and remark on the rest."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.cells import RawCellsContract, check_matched, standardise
from sc_mamba2.cells.labels import placeholder_columns
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.shared.params import IngestionParams, ValidationParams

MAX_COLUMNS = 5  # with a remark each
Remark = dict[str, str]


def ingest_cells(raw_cells: AnnData, params: IngestionParams) -> tuple[AnnData, dict[str, Any]]:
    """Map the genes, choose the expression, and log-normalise it, for cells of `RawCellsContract`.

    Returns
    -------
    cells
        The standard form (see `sc_mamba2.cells.standard_form`).
    ingestion_report
        What was read, matched and dropped.
    """
    table = load_gene_table(params.gene_table)
    return standardise(raw_cells, table, params.layer, params.holds)


def ingest_and_validate(
    raw_cells: AnnData, ingestion: IngestionParams, validation: ValidationParams
) -> tuple[AnnData, dict[str, Any]]:
    """Ingest and validate cells, like the nodes of that name."""
    raw = RawCellsContract().validate(raw_cells)
    return validate_cells(*ingest_cells(raw, ingestion), validation)


def validate_cells(
    cells: AnnData, ingestion_report: dict[str, Any], params: ValidationParams
) -> tuple[AnnData, dict[str, Any]]:
    """Check cells in the standard form.

    Returns
    -------
    valid_cells
        The same cells.
    validation_report
        Ingestion report, expressed genes per cell (quartiles), and all remarks.

    Raises
    ------
    UserError
        Too few genes are known.
    """
    expressed = np.diff(cells.X.indptr)
    return cells, validation_report(ingestion_report, expressed, cells.obs, params)


def validation_report(
    ingestion_report: dict[str, Any],
    expressed: np.ndarray,
    obs: pd.DataFrame,
    params: ValidationParams,
) -> dict[str, Any]:
    """Return the report of `validate_cells` from the expressed genes per cell, (N,), without the matrix."""
    genes = ingestion_report["genes"]
    check_matched(genes, params.minimum_matched_share, params.minimum_genes)
    counted = ingestion_report["expression"]["kind"] == "counts"
    return ingestion_report | {
        "genes_a_cell": quartiles(expressed),
        "remarks": [
            *ingestion_report["remarks"],
            *remarks(expressed, genes, counted, params),
            *other_feature_remarks(ingestion_report),
            *placeholder_remarks(obs),
        ],
    }


def remarks(
    expressed: np.ndarray, genes: dict[str, Any], counted: bool, params: ValidationParams
) -> Iterator[Remark]:
    """Yield remarks for the user that are not errors, each with its rule.

    Parameters
    ----------
    expressed
        (N,) expressed genes per cell.
    genes
        Counts of matched and dropped genes.
    counted
        Whether counts were found.
    """
    empty = int((expressed == 0).sum())
    few = int((expressed < params.few_genes_a_cell).sum()) - empty
    dropped = genes["total"] - genes["kept"]
    if empty:
        yield _remark(
            "cells-empty", f"{empty:,} cells express no gene; their results are meaningless"
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
            f"{genes['duplicate']:,} duplicate columns of a gene"
            + (
                f", {genes['no_partner']:,} without a human orthologue"
                if genes["no_partner"]
                else ""
            ),
        )
    if not counted:
        yield _remark("counts-absent", "no counts were found; normalised values were used instead")


def other_feature_remarks(ingestion_report: dict[str, Any]) -> Iterator[Remark]:
    """Yield a remark on features that are not genes, if there are any."""
    aside = ingestion_report.get("set_aside", {})
    if aside:
        counts = ", ".join(f"{count:,} ({kind})" for kind, count in aside.items())
        yield _remark("features-set-aside", f"features that are not genes were set aside: {counts}")


def placeholder_remarks(obs: pd.DataFrame) -> Iterator[Remark]:
    """Yield remarks on columns with words for missing values, such as ``unknown``."""
    columns = placeholder_columns(obs)
    for name, words in list(columns.items())[:MAX_COLUMNS]:
        listed = ", ".join(f"'{word}' ({count:,})" for word, count in list(words.items())[:5])
        yield _remark("labels-absent", f"obs['{name}'] holds {listed}: treated as missing labels")
    if len(columns) > MAX_COLUMNS:
        more = len(columns) - MAX_COLUMNS
        yield _remark("labels-absent", f"{more:,} more columns of obs hold such words")


def quartiles(expressed: np.ndarray) -> dict[str, float]:
    """Return the quartiles of the genes per cell."""
    found = np.percentile(expressed, [25, 50, 75])
    return dict(zip(("q25", "median", "q75"), map(float, found), strict=True))


def _remark(rule: str, text: str) -> Remark:
    return {"rule": rule, "remark": text}
