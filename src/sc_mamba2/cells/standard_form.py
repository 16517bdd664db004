"""From an AnnData as a person wrote it to the one standard form that every later room reads.

Standard form: `X` log-normalised float32 CSR, `layers["counts"]` where counts were found, genes by
Ensembl id in the gene table's order, `obs` untouched, `uns["scm"]` says what was read and dropped.
What a file decides once (`StandardForm`) stands apart from the cells, so that a file can be read a
block at a time (`cells.blocks`).
"""

from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.cells import keys
from sc_mamba2.cells.expression import Expression, Kind, choose_expression, log_normalise
from sc_mamba2.cells.features import features_set_aside
from sc_mamba2.cells.gene_columns import (
    columns_to_keep,
    gene_features,
    map_gene_names,
    no_gene_matched,
)
from sc_mamba2.genes import GeneTable

EXAMPLES = 5


def standardise(
    cells: ad.AnnData, table: GeneTable, layer: str | None = None
) -> tuple[ad.AnnData, dict[str, Any]]:
    """Bring cells into the standard form.

    Parameters
    ----------
    cells
        Cells as read; not changed.
    table
        Gene table that knows the ids, symbols and aliases.
    layer
        Layer that must be taken as the expression.

    Returns
    -------
    cells
        A new AnnData in the standard form: N cells x G mapped genes.
    report
        JSON-able: cells, genes, counts of matched, dropped, ambiguous and retired, the source of
        the expression, examples of what was dropped.

    Raises
    ------
    UserError
        No usable matrix, or no gene that the table knows.
    """
    expression = choose_expression(cells, layer)
    totals = column_totals(expression.matrix)
    form = decide_form(expression.origin, expression.kind, expression.genes, totals, table)
    genes, values = form.measure(expression.matrix)
    standard = form.assemble(genes, values, cells.obs)
    report = {"cells": int(cells.n_obs)} | form.report
    whole = values.sum()
    report["values_kept_share"] = round(float(standard.X.sum() / whole), 4) if whole else 0.0
    return standard, report


@dataclass(frozen=True, eq=False)
class StandardForm:
    """What is decided once for all cells of a file, and brings any of its rows into standard form.

    Parameters
    ----------
    origin, kind
        Which matrix is the expression, and what it holds.
    measured
        Columns of that matrix that are genes, ``None`` for all; a cell's total is taken over them.
    kept
        Those of the measured columns that are kept, in the order of `var`.
    var
        Genes of the standard form: Ensembl id, symbol, biotype.
    report
        JSON-able: counts of matched, dropped, ambiguous and retired genes, the source of the
        expression, examples of what was dropped.
    """

    origin: str
    kind: Kind
    measured: np.ndarray | None
    kept: np.ndarray
    var: pd.DataFrame
    report: dict[str, Any]

    def apply(self, matrix: sparse.csr_matrix, obs: pd.DataFrame) -> ad.AnnData:
        """Return cells in standard form from clean rows (`clean_matrix`) of the chosen matrix."""
        return self.assemble(*self.measure(matrix), obs)

    def measure(self, matrix: sparse.csr_matrix) -> tuple[sparse.csr_matrix, sparse.csr_matrix]:
        """Return the columns that are genes: as stored, and log-normalised."""
        genes = matrix if self.measured is None else matrix[:, self.measured]
        return genes, log_normalise(Expression(genes, self.var, self.origin, self.kind))

    def assemble(
        self, genes: sparse.csr_matrix, values: sparse.csr_matrix, obs: pd.DataFrame
    ) -> ad.AnnData:
        """Put the two parts of `measure` into an AnnData, genes in the table's order."""
        standard = ad.AnnData(X=values[:, self.kept], obs=obs.copy(), var=self.var.copy())
        if self.kind == "counts":
            standard.layers[keys.COUNTS_LAYER] = genes[:, self.kept]
        standard.uns[keys.FACTS] = {"expression": self.origin, "kind": self.kind}
        return standard


def decide_form(
    origin: str, kind: Kind, genes: pd.DataFrame, totals: np.ndarray, table: GeneTable
) -> StandardForm:
    """Decide the standard form of a file, or raise rule ``genes-unmatched``.

    Parameters
    ----------
    origin, kind
        What `choose_origin` chose.
    genes
        Table of the matrix's N columns.
    totals
        (N,) sum of each column over all cells.
    table
        Gene table that knows the ids, symbols and aliases.
    """
    measured, aside = gene_features(genes), {}
    if measured is not None:
        aside = features_set_aside(genes)
        genes, totals = genes.iloc[measured], totals[measured]
    mapping = map_gene_names(genes, table)
    counts = mapping.counts()
    if not counts["matched"]:
        raise no_gene_matched(mapping)
    columns = columns_to_keep(mapping, genes.index.astype(str).to_numpy(), totals)
    rows = mapping.rows[columns]
    var = pd.DataFrame(
        {
            keys.SYMBOL: np.asarray(table.symbols, dtype=object)[rows],
            keys.BIOTYPE: np.asarray(table.biotypes, dtype=object)[rows],
        },
        index=pd.Index(mapping.ensembl_ids[columns].astype(str), name="ensembl_id"),
    )
    report = {
        "genes": counts | {"kept": len(columns), "dropped": counts["total"] - len(columns)},
        "dropped_examples": {
            status: [str(name) for name in mapping.examples(status, EXAMPLES)]
            for status in ("ambiguous", "retired", "unknown_id", "unknown_symbol")
        },
        "expression": {"origin": origin, "kind": kind},
    }
    if aside:
        report["set_aside"] = aside
    return StandardForm(origin, kind, measured, columns, var, report)


def column_totals(matrix: sparse.csr_matrix) -> np.ndarray:
    """Return the (N,) float64 sums of a matrix's columns."""
    return np.asarray(matrix.sum(axis=0, dtype=np.float64)).ravel()
