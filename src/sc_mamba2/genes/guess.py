"""A guess at what a list of gene names is, for error messages only; the mapping never guesses."""

import re
from collections.abc import Iterable

from sc_mamba2.genes.mapping import map_genes
from sc_mamba2.genes.table import load_gene_table

# A list is of a species when this share of its names says so, and no more say the other: real
# lists hold many names that say nothing (clones, spike-ins, names of another annotation).
ENOUGH = 0.2

_MOUSE_ID = re.compile(r"ENSMUSG[0-9]{11}(?:\.[0-9]+)?")
_TITLE_CASE = re.compile(r"[A-Z][a-z0-9]*[a-z][a-z0-9]*(?:-[A-Za-z0-9]+)*|mt-[A-Z][a-z0-9]+")

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec)"
_DAY = "(?:0?[1-9]|[12][0-9]|3[01])"
_DATE = re.compile(
    rf"{_DAY}-(?:{_MONTH}|{_MONTH.upper()})(?:-[0-9]{{2,4}})?"  # 1-Mar, 02-SEP, 1-Mar-21
    rf"|{_MONTH}-[0-9]{{2}}"  # Mar-01; OCT-4 and Oct-4 are names of a protein
    r"|[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?: 00:00:00)?"
    r"|[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4}"
)


def looks_like(names: Iterable[str]) -> str:
    """Say what a list of gene names looks like.

    Parameters
    ----------
    names
        Gene names as a file holds them. To find dates in an otherwise sound list, give only the
        names that did not match.

    Returns
    -------
    str
        "human": Ensembl ids or symbols of human genes;
        "mouse": ENSMUSG ids, or symbols such as `Cd3e` that are human ones in capitals;
        "spreadsheet-dates": neither, and some names are dates that a spreadsheet made of genes
        (`1-Mar` of MARCHF1, `Sep-02` of SEPTIN2, `2021-03-01`);
        "unknown": none of these.
    """
    listed = [str(name).strip() for name in names]
    human = _count_human(listed)
    mouse = _count_mouse(listed)
    if listed and max(human, mouse) >= ENOUGH * len(listed):
        return "human" if human >= mouse else "mouse"
    return "spreadsheet-dates" if any(map(_DATE.fullmatch, listed)) else "unknown"


def _count_human(names: list[str]) -> int:
    """Count human names: all of an Ensembl id's form, and symbols that the table knows."""
    return int((map_genes(names, load_gene_table()).status != "unknown_symbol").sum())


def _count_mouse(names: list[str]) -> int:
    ids = sum(map(bool, map(_MOUSE_ID.fullmatch, names)))
    titled = [name.upper() for name in names if _TITLE_CASE.fullmatch(name)]
    return ids + _count_human(titled)
