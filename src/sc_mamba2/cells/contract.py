"""The AnnData contract: named rules that cells must keep, as validators of Kedro catalog entries.

`RawCellsContract` looks at cells as they were read, `CellsContract` at the standard form. Tables
(`obs`, `var`) are checked by pandera, the matrix by hand; every failure is a `UserError` with a rule.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pandera.pandas as pa
from scipy import sparse

from sc_mamba2.cells.expression import choose_expression
from sc_mamba2.errors import UserError

OBS_SCHEMA = pa.DataFrameSchema(
    index=pa.Index(str, nullable=False, coerce=True, unique=True, name=None),
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
    """What any cells must keep before they are read further.

    Rules: ``cells-none``, ``genes-none``, ``cells-names`` (pandera), ``genes-names``,
    ``matrix-transposed``, and those of `choose_expression`.
    """

    def __init__(self, layer: str | None = None) -> None:
        self.layer = layer

    def validate(self, data: ad.AnnData) -> ad.AnnData:
        """Return `data`, or raise the first broken rule as a `UserError`."""
        check_tables(data)
        # Where a layer may be meant that is not known here, ingestion chooses, by the same rules.
        if self.layer is not None or not data.layers:
            choose_expression(data, self.layer)
        return data


def check_tables(cells: ad.AnnData) -> None:
    """Check everything of `RawCellsContract` but the matrix, which need not be there.

    Raises
    ------
    UserError
        The first broken rule.
    """
    _raise_first(_table_faults(cells))


def _table_faults(cells: ad.AnnData) -> Iterator[UserError | None]:
    yield _empty(cells)
    yield _table_fault(
        OBS_SCHEMA,
        cells.obs,
        "cells-names",
        expected="a unique name (barcode) a cell",
        mend="call adata.obs_names_make_unique() and save again",
    )
    yield _gene_names_fault(cells)
    yield _transposed(cells)


def check_matched(genes: dict[str, Any], minimum_share: float, minimum_genes: int) -> None:
    """Refuse a file of whose genes too few are known.

    Parameters
    ----------
    genes
        ``report["genes"]`` of `standardise`.
    minimum_share
        Share of the file's genes that the gene table must know, 0 to 1.
    minimum_genes
        Mapped genes that it must have.

    Raises
    ------
    UserError
        Rule ``genes-matched``.
    """
    share = genes["matched"] / max(1, genes["total"])
    if share < minimum_share or genes["kept"] < minimum_genes:
        raise UserError(
            "genes-matched",
            found=f"{genes['matched']:,} of {genes['total']:,} genes are known ({share:.0%})",
            expected=f"at least {minimum_share:.0%}, and {minimum_genes} genes",
            mend='check the species, put Ensembl ids in var["ensembl_id"], or lower '
            "minimum_matched_share if the rest is meant to be dropped",
        )


class CellsContract:
    """What the standard form keeps: Ensembl ids, unique cells, finite non-negative float32 CSR."""

    def validate(self, data: ad.AnnData) -> ad.AnnData:
        """Return `data`, or raise the first broken rule as a `UserError`."""
        mend = "make this file again with `scm run --pipeline ingestion`"
        _raise_first(
            [
                _empty(data),
                _table_fault(
                    OBS_SCHEMA, data.obs, "cells-names", expected="a unique name a cell", mend=mend
                ),
                _table_fault(
                    STANDARD_VAR_SCHEMA,
                    data.var,
                    "genes-standard",
                    expected="unique Ensembl ids with symbol and biotype",
                    mend=mend,
                ),
            ]
        )
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
    """Say why a matrix is not of the standard form, or nothing."""
    if not (sparse.issparse(matrix) and matrix.format == "csr"):
        return f"a {type(matrix).__name__}"
    values = matrix.data
    if values.dtype != np.float32:
        return f"{values.dtype} values"
    if not np.isfinite(values).all():
        return "NaN or infinite values"
    return f"values from {values.min():.3g}" if values.min(initial=0) < 0 else ""


def _raise_first(faults: Iterable[UserError | None]) -> None:
    for fault in faults:
        if fault is not None:
            raise fault


def _empty(cells: ad.AnnData) -> UserError | None:
    for count, rule, what in (
        (cells.n_obs, "cells-none", "cells"),
        (cells.n_vars, "genes-none", "genes"),
    ):
        if count == 0:
            return UserError(
                rule,
                found=f"0 {what}",
                expected=f"at least one of the {what}",
                mend="was everything filtered away? go back to the file before filtering",
            )
    return None


def _table_fault(
    schema: pa.DataFrameSchema, table: pd.DataFrame, rule: str, *, expected: str, mend: str
) -> UserError | None:
    """Check a table by its schema; tell the first failures in one line."""
    try:
        schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        examples = ", ".join(repr(case) for case in cases["failure_case"].dropna().unique()[:3])
        checks = ", ".join(str(check) for check in cases["check"].unique()[:3])
        return UserError(
            rule,
            found=f"{schema.name} breaks {checks} in {len(cases):,} places (e.g. {examples})",
            expected=expected,
            mend=mend,
        )
    return None


def _gene_names_fault(cells: ad.AnnData) -> UserError | None:
    names = cells.var_names.astype(str).str.strip()
    empty = int((names == "").sum())
    if empty:
        return UserError(
            "genes-names",
            found=f"{empty:,} genes without a name",
            expected="an Ensembl id or a symbol a gene",
            mend="name them, or drop them: adata[:, adata.var_names != '']",
        )
    return None


def _transposed(cells: ad.AnnData) -> UserError | None:
    """Gene ids where the barcodes belong mean that the matrix lies on its side."""
    if _share_of_ids(cells.obs_names) > 0.5 > _share_of_ids(cells.var_names):
        return UserError(
            "matrix-transposed",
            found="Ensembl ids as the names of the cells",
            expected="cells in rows, genes in columns",
            mend="save adata.T",
        )
    return None


def _share_of_ids(names: pd.Index) -> float:
    return float(names.astype(str).str.match(r"^ENSG\d{11}").mean())
