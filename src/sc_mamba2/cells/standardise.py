"""From an AnnData as a person wrote it to the one standard form that every later room reads.

Standard form: `X` log-normalised float32 CSR, `layers["counts"]` where counts were found, genes by
Ensembl id in the gene table's order, `obs` untouched, `uns["scm"]` says what was read and dropped.
"""

from dataclasses import replace
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from sc_mamba2.cells import keys
from sc_mamba2.cells.expression import Expression, choose_expression, log_normalise
from sc_mamba2.errors import UserError
from sc_mamba2.genes import GeneMapping, GeneTable, looks_like, map_genes

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
    expression = _genes_only(choose_expression(cells, layer))
    mapping = map_gene_names(expression.genes, table)
    counts = mapping.counts()
    if not counts["matched"]:
        raise _no_gene_matched(mapping)
    columns = _columns_to_keep(expression, mapping)
    rows = mapping.rows[columns]
    values = log_normalise(expression)
    standard = ad.AnnData(
        X=values[:, columns],
        obs=cells.obs.copy(),
        var=pd.DataFrame(
            {
                keys.SYMBOL: np.asarray(table.symbols, dtype=object)[rows],
                keys.BIOTYPE: np.asarray(table.biotypes, dtype=object)[rows],
            },
            index=pd.Index(mapping.ensembl_ids[columns].astype(str), name="ensembl_id"),
        ),
    )
    if expression.kind == "counts":
        standard.layers[keys.COUNTS_LAYER] = expression.matrix[:, columns]
    report = {
        "cells": int(cells.n_obs),
        "genes": counts | {"kept": len(columns), "dropped": counts["total"] - len(columns)},
        "dropped_examples": {
            status: [str(name) for name in mapping.examples(status, EXAMPLES)]
            for status in ("ambiguous", "retired", "unknown_id", "unknown_symbol")
        },
        "expression": {"origin": expression.origin, "kind": expression.kind},
        "values_kept_share": _share(standard.X.sum(), values.sum()),
    }
    standard.uns[keys.FACTS] = {"expression": expression.origin, "kind": expression.kind}
    return standard, report


def _genes_only(expression: Expression) -> Expression:
    """Leave out antibodies, peaks and the like, where the file says what its features are.

    They would count towards the total of a cell, and an antibody may bear the name of a gene.
    """
    if keys.FEATURE_TYPES not in expression.genes:
        return expression
    genes = expression.genes[keys.FEATURE_TYPES].isin(keys.GENE_FEATURES).to_numpy()
    if not genes.any():
        return expression
    return replace(
        expression, matrix=expression.matrix[:, genes], genes=expression.genes.loc[genes]
    )


def map_gene_names(genes: pd.DataFrame, table: GeneTable) -> GeneMapping:
    """Map a gene table's names: Ensembl ids first, symbols where there is no id or it is unknown.

    Ids are looked for in the index, then in the columns `keys.ENSEMBL_COLUMNS`; symbols in the
    index, then in `keys.SYMBOL_COLUMNS`.
    """
    names = genes.index.astype(str)
    symbols = _first_column(genes, keys.SYMBOL_COLUMNS)
    if names.str.startswith("ENSG").mean() > 0.5:
        return map_genes(list(names), table, symbols)
    ids = _first_column(genes, keys.ENSEMBL_COLUMNS)
    if ids is None:
        return map_genes(list(names), table, symbols)
    # A name without an id is shown, and looked up, by its symbol.
    first = [ident or name for ident, name in zip(ids, names, strict=True)]
    return map_genes(first, table, list(names))


def _first_column(genes: pd.DataFrame, columns: tuple[str, ...]) -> list[str] | None:
    for column in columns:
        if column in genes:
            text = genes[column].astype(object).where(genes[column].notna(), "")
            return [str(value).strip() for value in text]
    return None


def _columns_to_keep(expression: Expression, mapping: GeneMapping) -> np.ndarray:
    """Return the columns of mapped genes in table order; of two for one gene, the richer one.

    A tie goes to the name that sorts first, so that the file's order of genes changes nothing.
    """
    columns = np.flatnonzero(mapping.rows >= 0)
    totals = np.asarray(expression.matrix.sum(axis=0, dtype=np.float64)).ravel()
    names = expression.genes.index.astype(str).to_numpy()
    order = pd.DataFrame(
        {
            "column": columns,
            "row": mapping.rows[columns],
            "total": -totals[columns],
            "name": names[columns],
        }
    ).sort_values(["row", "total", "name"], kind="stable")
    return order.drop_duplicates("row")["column"].to_numpy()


def _no_gene_matched(mapping: GeneMapping) -> UserError:
    hints = {
        "mouse": "these look like mouse genes; map them to human orthologues first",
        "spreadsheet-dates": "a spreadsheet turned gene names into dates; go back to the original",
    }
    names = list(mapping.names)
    return UserError(
        "genes-unmatched",
        found=f"none of the {len(names):,} gene names is known (e.g. {', '.join(map(str, names[:3]))})",
        expected="human genes by Ensembl id or symbol",
        mend=hints.get(
            looks_like(names), 'put Ensembl ids in var["ensembl_id"]; is the matrix transposed?'
        ),
    )


def _share(part: float, whole: float) -> float:
    return round(float(part / whole), 4) if whole else 0.0
