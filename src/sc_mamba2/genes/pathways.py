"""Reactome pathways (CC0) of genes; they ship with the package, see `data/README.md`."""

import gzip
from collections.abc import Iterable
from functools import cache
from importlib import resources

import numpy as np
from scipy import sparse

from sc_mamba2.genes.table import load_gene_table

_FILE = "reactome-pathways.gmt.gz"
# Sets of one gene say nothing about similarity, very large ones hardly anything.
SMALLEST, LARGEST = 2, 500


@cache
def read_pathways() -> dict[str, frozenset[str]]:
    """Return the gene symbols of every pathway by Reactome id."""
    content = resources.files("sc_mamba2.genes").joinpath("data", _FILE).read_bytes()
    lines = (line.split("\t") for line in gzip.decompress(content).decode().splitlines())
    return {ident: frozenset(filter(None, symbols)) for _, ident, *symbols in lines}


@cache
def _memberships() -> tuple[dict[str, int], sparse.csr_matrix]:
    """Return the row of each gene by Ensembl id, and the genes x pathways matrix, 1/sqrt(size)."""
    table = load_gene_table()
    row_of: dict[str, int] = {}
    rows, columns, values = [], [], []
    kept = 0
    for members in read_pathways().values():
        if not SMALLEST <= len(members) <= LARGEST:
            continue
        for symbol in sorted(members):
            place = table.row_of_symbol.get(symbol, table.row_of_alias_symbol.get(symbol))
            if place is not None:
                rows.append(row_of.setdefault(str(table.ids[place]), len(row_of)))
                columns.append(kept)
                values.append(len(members) ** -0.5)
        kept += 1
    return row_of, sparse.csr_matrix((values, (rows, columns)), (len(row_of), kept))


def pathway_features(groups: Iterable[Iterable[str]]) -> np.ndarray:
    """Describe groups of genes by their Reactome pathways.

    Parameters
    ----------
    groups
        N groups of Ensembl ids; most hold one gene.

    Returns
    -------
    ndarray
        (N, S) over the S pathways with any of the genes: the sum over the group's genes of
        ``1 / sqrt(size)`` where the gene is a member, for pathways of 2 to 500 genes. All zero if
        no gene is known.
    """
    row_of, member_VS = _memberships()
    places = [[row_of[gene] for gene in group if gene in row_of] for group in groups]
    chosen = sparse.vstack(
        [sparse.csr_matrix(member_VS[rows].sum(axis=0)) for rows in places], format="csc"
    )
    return chosen[:, np.flatnonzero(np.diff(chosen.indptr))].toarray()
