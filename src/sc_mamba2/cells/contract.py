"""The AnnData contract: named rules for cells, as validators of Kedro catalog entries.

`RawCellsContract` checks cells as read, `CellsContract` the standard form. Tables (`obs`, `var`) are
checked by pandera, the matrix by hand; every failure is a `UserError` with a rule.
"""

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pandera.pandas as pa
from scipy import sparse

from sc_mamba2.cells.gene_columns import share_known
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table

OBS_SCHEMA = pa.DataFrameSchema(
    index=pa.Index(
        str, pa.Check.str_length(min_value=1), nullable=False, coerce=True, unique=True, name=None
    ),
    strict=False,
    name="obs",
)
STANDARD_VAR_SCHEMA = pa.DataFrameSchema(
    {"symbol": pa.Column(nullable=False), "biotype": pa.Column(nullable=False)},
    index=pa.Index(str, pa.Check.str_matches(r"^ENSG\d{11}$"), nullable=False, unique=True),
    strict=False,
    name="var",
)


class RawCellsContract:
    """Rules for any cells before they are read further; the matrix is checked where it is chosen.

    Rules: ``cells-none``, ``genes-none``, ``cells-names`` (pandera), ``genes-names``,
    ``matrix-transposed``.
    """

    def validate(self, data: ad.AnnData) -> ad.AnnData:
        """Return `data`, or raise the first broken rule as a `UserError`."""
        check_tables(data)
        return data


def check_tables(cells: ad.AnnData) -> None:
    """Check the rules of `RawCellsContract`, for which the matrix is not needed; raise the first broken one."""
    _check_not_empty(cells)
    _check_table(
        OBS_SCHEMA,
        cells.obs,
        "cells-names",
        expected="a unique name (barcode) per cell",
        mend="call adata.obs_names_make_unique() and save again",
    )
    unnamed = int((cells.var_names.astype(str).str.strip() == "").sum())
    if unnamed:
        raise UserError(
            "genes-names",
            found=f"{unnamed:,} genes without a name",
            expected="an Ensembl id or a symbol per gene",
            mend="name or drop them: adata[:, adata.var_names != '']",
        )
    # Genes in place of barcodes mean that the matrix is transposed.
    table = load_gene_table()
    names, genes = (list(index.astype(str)) for index in (cells.obs_names, cells.var_names))
    if share_known(names, table) > 0.5 > share_known(genes, table):
        raise UserError(
            "matrix-transposed",
            found="gene names as names of the cells",
            expected="cells in rows, genes in columns",
            mend="save adata.T",
        )


def check_matched(genes: dict[str, Any], minimum_share: float, minimum_genes: int) -> None:
    """Refuse a file with too few known genes (rule ``genes-matched``).

    Parameters
    ----------
    genes
        ``report["genes"]`` of `standardise`.
    minimum_share
        Share of the file's genes that the gene table must know, 0 to 1; genes of another species, and mouse
        genes without a one-to-one human orthologue, do not count.
    minimum_genes
        Number of mapped genes that it must have.
    """
    own = genes["total"] - genes["foreign"] - genes["no_partner"]
    share = genes["matched"] / max(1, own)
    if share < minimum_share or genes["kept"] < minimum_genes:
        raise UserError(
            "genes-matched",
            found=f"{genes['matched']:,} of {own:,} genes are known ({share:.0%})",
            expected=f"at least {minimum_share:.0%}, and {minimum_genes} genes",
            mend='check the species, put Ensembl ids in var["ensembl_id"], or lower '
            "minimum_matched_share if the other genes may be dropped",
        )


class CellsContract:
    """Rules for the standard form: Ensembl ids, unique cells, finite non-negative float32 CSR."""

    def validate(self, data: ad.AnnData) -> ad.AnnData:
        """Return `data`, or raise the first broken rule as a `UserError`."""
        mend = "remake this file with `scm run --pipeline ingestion`"
        _check_not_empty(data)
        names = "a unique name per cell"
        _check_table(OBS_SCHEMA, data.obs, "cells-names", expected=names, mend=mend)
        genes = "unique Ensembl ids with symbol and biotype"
        _check_table(STANDARD_VAR_SCHEMA, data.var, "genes-standard", expected=genes, mend=mend)
        fault = _standard_matrix_fault(data.X)
        if fault:
            raise UserError(
                "matrix-standard",
                found=fault,
                expected="a CSR matrix of log-normalised float32 values, finite and not negative",
                mend=mend,
            )
        return data


def _standard_matrix_fault(matrix: object) -> str:
    """Return why a matrix is not in the standard form, or ""."""
    if not (sparse.issparse(matrix) and matrix.format == "csr"):
        return f"a {type(matrix).__name__}"
    values = matrix.data
    if values.dtype != np.float32:
        return f"{values.dtype} values"
    if not np.isfinite(values).all():
        return "NaN or infinite values"
    return f"values from {values.min():.3g}" if values.min(initial=0) < 0 else ""


def _check_not_empty(cells: ad.AnnData) -> None:
    for what, count in (("cells", cells.n_obs), ("genes", cells.n_vars)):
        if count == 0:
            raise UserError(
                f"{what}-none",
                found=f"0 {what}",
                expected=f"at least one of the {what}",
                mend="if everything was filtered out, use the file from before filtering",
            )


def _check_table(
    schema: pa.DataFrameSchema, table: pd.DataFrame, rule: str, *, expected: str, mend: str
) -> None:
    """Check a table by its schema; report the first failures in one line."""
    try:
        schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        examples = ", ".join(repr(case) for case in cases["failure_case"].dropna().unique()[:3])
        checks = ", ".join(str(check) for check in cases["check"].unique()[:3])
        found = f"{schema.name} breaks {checks} in {len(cases):,} places (e.g. {examples})"
        raise UserError(rule, found=found, expected=expected, mend=mend) from error
