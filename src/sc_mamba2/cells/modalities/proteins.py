"""Proteins: their names, their coding genes, and the check of their counts."""

import re
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from sc_mamba2.cells.expression import clean_matrix, compute_matrix_facts
from sc_mamba2.cells.features import protein_aliases
from sc_mamba2.cells.keys import COUNTS_LAYER
from sc_mamba2.errors import UserError
from sc_mamba2.genes import GeneTable

PREFIX = "protein:"
_TAGS = re.compile(
    r"([_-]?(TotalSeq[A-D]?|ADT|prot(ein)?|PROT|AB)\b.*$)|^(anti-?human|Hu|ADT)[ ._-]+", re.I
)


def standardise_proteins(
    cells: ad.AnnData, table: GeneTable, zero_negative: bool
) -> tuple[ad.AnnData, dict[str, Any]]:
    """Check proteins, and add their names and coding genes.

    Parameters
    ----------
    cells
        N cells x P proteins, antibody counts.
    table
        Gene table in which the coding genes are looked up.
    zero_negative
        Whether negative values are background and become 0; otherwise they are refused.

    Returns
    -------
    cells
        ``X`` float32 CSR, not negative; ``var`` named ``protein:NAME`` with ``name`` and ``gene`` (Ensembl
        id, "" if unknown).
    report
        JSON-able: number of proteins and of known genes, whether values are counts, remarks.

    Raises
    ------
    UserError
        ``protein-negative``, ``protein-values``.
    """
    matrix = cells.layers.get(COUNTS_LAYER, cells.X)
    facts = compute_matrix_facts(matrix)
    if facts.values and facts.smallest < 0 and not facts.bad:
        if not zero_negative:
            raise UserError(
                "protein-negative",
                found=f"protein values from {facts.smallest:.3g}: already normalised",
                expected="antibody counts, not negative",
                mend='give the counts, in X or layers["counts"], or set '
                "multiomics.features.zero_negative_proteins=true to treat values below 0 as background",
            )
        matrix = matrix.maximum(0) if sparse.issparse(matrix) else np.maximum(matrix, 0)
    elif facts.fault:
        raise UserError(
            "protein-values",
            found=f"a protein matrix that {facts.fault}",
            expected="finite counts, not all zero",
            mend='correct the matrix, or keep the counts in layers["counts"]',
        )
    names = [str(name) for name in cells.var_names]
    genes = coding_genes(names, table)
    var = pd.DataFrame({"name": names, "gene": genes}, index=[PREFIX + name for name in names])
    known = int((var["gene"] != "").sum())
    remarks = []
    if not facts.whole:
        text = "protein values are not whole numbers; they are used unchanged"
        remarks.append({"rule": "protein-normalised", "remark": text})
    report = {"total": len(names), "with_gene": known, "counts": facts.whole, "remarks": remarks}
    return ad.AnnData(X=clean_matrix(matrix), obs=cells.obs[[]].copy(), var=var), report


def coding_genes(names: list[str], table: GeneTable) -> list[str]:
    """Return the Ensembl id of each protein's coding gene, "" if unknown.

    The name, without antibody makers' additions, is looked up in the alias table, then as a symbol.
    For a protein of several chains, the most informative chain is used, such as ``CD3E`` for CD3.
    """
    aliases = protein_aliases()
    found = []
    for name in names:
        bare = bare_name(name)
        known = aliases.get(bare.upper().replace(" ", ""))
        symbols = (bare, bare.upper()) if known is None else (known,)
        tables = (table.row_of_symbol, table.row_of_alias_symbol)
        rows = [rows[symbol] for symbol in symbols for rows in tables if symbol in rows]
        found.append(str(table.ids[rows[0]]) if rows else "")
    return found


def bare_name(name: str) -> str:
    """Return a protein's name without tags such as ``_TotalSeqB`` or ``anti-human``."""
    return _TAGS.sub("", name).strip(" _-.") or name
