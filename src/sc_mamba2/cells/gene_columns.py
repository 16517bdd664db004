"""Which columns of a matrix become genes of the standard form, with which names and in what order."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.cells import keys
from sc_mamba2.cells.features import GENE, feature_kinds, no_gene_feature
from sc_mamba2.errors import UserError
from sc_mamba2.genes import (
    GeneMapping,
    GeneTable,
    clean_names,
    guess_contents,
    is_foreign,
    is_spreadsheet_date,
    map_genes,
)

MIN_CONFLICTS = 10  # names whose id leads to another gene
MAX_CONFLICT_SHARE = 0.2  # largest share of them, since annotations differ
_NO_GENES = {
    "others": re.compile(r"ENS(?!MUS)[A-Z]{3,4}G\d|FBgn\d|WBGene\d"),
    "transcripts": re.compile(r"ENS([A-Z]{3,4})?T\d|[NX][MR]_\d"),
    "numbers": re.compile(r"\d+(\.0)?$"),
}
LOOKED_AT = 500  # names used to decide whether a column holds gene names
FEW_KNOWN = 0.1  # largest share of known names in a list that is not of genes


def gene_features(genes: pd.DataFrame) -> np.ndarray | None:
    """Return the columns that are genes, ``None`` for all; antibodies and peaks are excluded.

    They would count towards a cell's total, and an antibody may have the name of a gene.

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


@dataclass(frozen=True, eq=False)
class GeneNames:
    """The names of N columns, mapped to the gene table, and what was noticed about them.

    Parameters
    ----------
    column
        Column of the file's gene table that holds the names, or ``index``.
    taken_off
        What was removed from the names, and from how many.
    foreign
        (N,) bool: genes of another species.
    dates
        Names that a spreadsheet turned into dates.
    """

    mapping: GeneMapping
    column: str
    taken_off: dict[str, int]
    foreign: np.ndarray
    dates: list[str]

    def remarks(self) -> list[dict[str, str]]:
        """Return remarks on the names for the user."""
        remarks = {}
        if self.taken_off:
            parts = ", ".join(f"{what} of {count:,}" for what, count in self.taken_off.items())
            remarks["genes-cleaned"] = f"removed from gene names: {parts}"
        if self.column != "index":
            remarks["genes-column"] = f'gene names were taken from var["{self.column}"]'
        if self.dates:
            remarks["genes-dates"] = (
                f"the names of {len(self.dates):,} genes were converted to dates by a spreadsheet "
                f"({', '.join(self.dates[:3])}); these genes are lost: use the original file"
            )
        return [{"rule": rule, "remark": text} for rule, text in remarks.items()]


def name_genes(genes: pd.DataFrame, table: GeneTable) -> GeneNames:
    """Find the names of a table's genes: Ensembl ids first, symbols where an id is missing or unknown.

    Searched are the index, then the columns usually used for names, then all text columns; a column counts
    only if few names in the index are known. Rule ``genes-conflict``: ids and symbols denote different genes.
    """
    index = genes.index.astype(str)
    columns = {"index": list(index)} | _texts(genes)
    ids = _first(columns, keys.ENSEMBL_COLUMNS, lambda names: share_of_ids(pd.Index(names)) > 0.5)
    others = {name: names for name, names in columns.items() if name != ids}
    symbols = _first(others, keys.SYMBOL_COLUMNS, lambda names: share_known(names, table) > 0.5)
    if ids == "index":
        used, first, second = "index", columns["index"], columns[symbols or "index"]
    elif share_known(columns["index"], table) > FEW_KNOWN or not (ids or symbols):
        # A name without an id is shown and looked up by its symbol.
        used, second = "index", columns["index"]
        first = second
        if ids:
            first = [ident or name for ident, name in zip(columns[ids], second, strict=True)]
        elif symbols:
            second = columns[symbols]
    else:
        used, second = ids or symbols, columns[symbols or "index"]
        first = columns[used]
    cleaned = clean_names(first, table)
    spare = cleaned if second is first else clean_names(second, table)
    named = "index", *keys.ENSEMBL_COLUMNS, *keys.SYMBOL_COLUMNS
    if ids in named and symbols in named:  # a column with another name may describe other genes
        _check_agreement(columns[ids], columns[symbols], table, (ids, symbols))
    mapping = map_genes(cleaned.names, table, None if second is first else spare.names)
    unknown = mapping.rows < 0
    foreign = np.array(
        [
            lost and is_foreign(name, table)
            for lost, name in zip(unknown, cleaned.names, strict=True)
        ],
        dtype=bool,
    )
    lost = [name for lost, name in zip(unknown, cleaned.names, strict=True) if lost]
    dates = [name for name in lost if is_spreadsheet_date(name)]
    return GeneNames(mapping, str(used), cleaned.taken_off, foreign, dates)


def _check_agreement(
    ids: list[str], symbols: list[str], table: GeneTable, where: tuple[str, str]
) -> None:
    """Refuse ids and symbols that denote different genes, judged by a sample."""
    places = np.unique(np.linspace(0, len(ids) - 1, LOOKED_AT).astype(int))
    one, other = (
        map_genes(clean_names([names[place] for place in places], table).names, table).rows
        for names in (ids, symbols)
    )
    both = (one >= 0) & (other >= 0)
    apart = np.flatnonzero(both & (one != other))
    if len(apart) > max(MIN_CONFLICTS, MAX_CONFLICT_SHARE * both.sum()):
        at = places[apart[0]]
        named = " and ".join("var_names" if name == "index" else f'var["{name}"]' for name in where)
        raise UserError(
            "genes-conflict",
            found=f"{named}, of which {len(apart) / both.sum():.0%} are of different genes (e.g. {ids[at]} and "
            f"{symbols[at]})",
            expected="the id and the symbol of the same gene in each row",
            mend="one of the columns was reordered: drop the wrong one from var",
        )


def column_ids(genes: pd.DataFrame, table: GeneTable) -> np.ndarray:
    """Return the Ensembl id of each of N columns, "" if it is not a gene or not known."""
    found = np.full(len(genes), "", dtype=object)
    measured = gene_features(genes)
    places = np.arange(len(genes)) if measured is None else measured
    found[places] = name_genes(genes.iloc[places], table).mapping.ensembl_ids
    return found


def share_of_ids(names: pd.Index) -> float:
    """Return the share of names that are Ensembl ids, with or without a version."""
    return float(names.astype(str).str.match(r"^ENS(MUS)?G\d{11}").mean())


def share_known(names: list[str], table: GeneTable) -> float:
    """Return the share of names known to the gene table, from a sample spread over the list."""
    if not names:
        return 0.0
    places = np.unique(np.linspace(0, len(names) - 1, LOOKED_AT).astype(int))
    some = clean_names([names[place] for place in places], table).names
    return float(np.mean(map_genes(some, table).rows >= 0))


def best_known(genes: pd.DataFrame, table: GeneTable) -> float:
    """Return the largest share of known names among a gene table's index and columns."""
    columns = [list(genes.index.astype(str)), *_texts(genes).values()]
    return max(share_known(names, table) for names in columns)


def _texts(genes: pd.DataFrame) -> dict[str, list[str]]:
    """Return the text columns, with missing values as ""."""
    found = {}
    for name in genes:
        column = genes[name].astype(object).where(genes[name].notna(), "")
        if any(isinstance(value, str | bytes) for value in column.iloc[:LOOKED_AT]):
            found[str(name)] = [str(value).strip() for value in column]
    return found


def _first(columns: dict[str, list[str]], usual: tuple[str, ...], holds: Any) -> str | None:
    order = ["index", *usual, *columns]
    there = (name for name in dict.fromkeys(order) if name in columns)
    return next((name for name in there if holds(columns[name])), None)


def columns_to_keep(mapping: GeneMapping, names: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return the columns of mapped genes in table order; of two for one gene, the one with the larger sum.

    Ties go to the name that sorts first, so that the order of genes in the file does not matter.
    `names` and `totals` are (N,), the name and the sum of each column.
    """
    columns = pd.DataFrame({"row": mapping.rows, "total": -totals, "name": names})
    order = columns[mapping.rows >= 0].sort_values(["row", "total", "name"], kind="stable")
    return order.drop_duplicates("row").index.to_numpy()


def no_gene_matched(mapping: GeneMapping, species: str) -> UserError:
    """Return the error that no gene is known, with a hint at what the names look like."""
    hints = {
        "mouse": "these look like mouse genes: --species mouse maps them to their human orthologues",
        "spreadsheet-dates": "a spreadsheet converted gene names to dates; use the original file",
        "others": "these are genes of an unsupported species: replace them with their human orthologues",
        "transcripts": "these are transcripts: sum those of each gene, and name the sums by its id",
        "numbers": 'these are numbers: put Ensembl ids in var["ensembl_id"], or symbols in var["symbol"]',
    }
    if species == "mouse":
        hints = {"human": "these look like human genes: omit --species mouse"}
    names = list(mapping.names)
    likely = guess_contents(names)
    if likely == "unknown":
        likely = next(
            (kind for kind, form in _NO_GENES.items() if form.match(str(names[0]))), likely
        )
    return UserError(
        "genes-unmatched",
        found=f"none of the {len(names):,} gene names is known (e.g. {', '.join(map(str, names[:3]))})",
        expected=f"{species} genes by Ensembl id or symbol",
        mend=hints.get(likely, 'put Ensembl ids in var["ensembl_id"]; is the matrix transposed?'),
    )
