"""Which columns of a matrix become genes of the standard form, and in what order."""

import numpy as np
import pandas as pd

from sc_mamba2.cells import keys
from sc_mamba2.cells.features import GENE, feature_kinds, no_gene_feature
from sc_mamba2.errors import UserError
from sc_mamba2.genes import GeneMapping, GeneTable, looks_like, map_genes


def gene_features(genes: pd.DataFrame) -> np.ndarray | None:
    """Return the columns that are genes, ``None`` for all: antibodies and peaks are left out.

    They would count towards the total of a cell, and an antibody may bear the name of a gene.

    Raises
    ------
    UserError
        Rules ``features-indistinct`` and ``features-no-gene``.
    """
    kinds = feature_kinds(genes)
    found = np.flatnonzero((kinds == GENE).to_numpy())
    if not len(found):
        raise no_gene_feature(kinds)
    return found if len(found) < len(genes) else None


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


def share_of_ids(names: pd.Index) -> float:
    """Return the share of names that are Ensembl ids, with or without a version."""
    return float(names.astype(str).str.match(r"^ENSG\d{11}").mean())


def _first_column(genes: pd.DataFrame, columns: tuple[str, ...]) -> list[str] | None:
    for column in columns:
        if column in genes:
            text = genes[column].astype(object).where(genes[column].notna(), "")
            return [str(value).strip() for value in text]
    return None


def columns_to_keep(mapping: GeneMapping, names: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return the columns of mapped genes in table order; of two for one gene, the richer one.

    A tie goes to the name that sorts first, so that the file's order of genes changes nothing.
    `names` and `totals` are (N,), the name and the sum of each column.
    """
    columns = pd.DataFrame({"row": mapping.rows, "total": -totals, "name": names})
    order = columns[mapping.rows >= 0].sort_values(["row", "total", "name"], kind="stable")
    return order.drop_duplicates("row").index.to_numpy()


def no_gene_matched(mapping: GeneMapping) -> UserError:
    """Say that no gene is known, with a hint at what the names look like."""
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
