"""Map gene names in a file to rows of the gene table, recording how each was found.

Exact matches only: `Cd3e` is a mouse gene, and `TBCE.1` or `TBCE-1` is another gene than `TBCE` in old
annotations, so case and numeric suffixes are never changed. Guesses are for error messages only.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from sc_mamba2.errors import UserError
from sc_mamba2.genes.table import GeneTable, load_gene_table

Status = Literal[
    "id",
    "alias_id",
    "symbol",
    "alias_symbol",
    "ambiguous",
    "retired",
    "no_partner",
    "unknown_id",
    "unknown_symbol",
]

# An id with possible additions: a version, _PAR_Y, the symbol on either side, a genome's name.
_BETWEEN = r"[_\-|:;,.\s()]"
_IDS = {
    species: re.compile(rf"(?:[^,;]*{_BETWEEN})?({stem}[0-9]{{11}})(?:{_BETWEEN}[^,;]*)?")
    for species, stem in {"human": "ENSG", "mouse": "ENSMUSG"}.items()
}


@dataclass(frozen=True, eq=False)
class GeneMapping:
    """Rows of N names in the gene table, in the names' order.

    Parameters
    ----------
    names
        The N names as given.
    ensembl_ids
        (N,) object array, Ensembl id without version, "" where the name was not mapped.
    rows
        (N,) int64, row of the table, -1 where the name was not mapped.
    status
        (N,) object array of `Status`: how the name was found, or why not.
    """

    names: tuple[str, ...]
    ensembl_ids: np.ndarray
    rows: np.ndarray
    status: np.ndarray

    def counts(self) -> dict[str, int]:
        """Count the names by outcome.

        Returns
        -------
        dict
            `total` = `matched` + `ambiguous` + `retired` + `no_partner` + `unknown`; `matched` =
            `matched_by_id` + `matched_by_symbol` + `matched_by_alias`; `duplicate`: mapped names
            whose gene an earlier name was mapped to.
        """
        by = Counter(self.status.tolist())
        matched = self.rows[self.rows >= 0]
        return {
            "total": len(self.names),
            "matched": len(matched),
            "matched_by_id": by["id"],
            "matched_by_symbol": by["symbol"],
            "matched_by_alias": by["alias_id"] + by["alias_symbol"],
            "ambiguous": by["ambiguous"],
            "retired": by["retired"],
            "no_partner": by["no_partner"],
            "unknown": by["unknown_id"] + by["unknown_symbol"],
            "duplicate": len(matched) - len(np.unique(matched)),
        }

    def examples(self, status: Status, n: int = 5) -> list[str]:
        """Return the first `n` names with a status, for messages."""
        assert status in get_args(Status), status
        return [self.names[place] for place in np.flatnonzero(self.status == status)[:n]]


def map_genes(
    names: Sequence[str], table: GeneTable, fallback_names: Sequence[str] | None = None
) -> GeneMapping:
    """Map gene names to the gene table: by Ensembl id, else by symbol.

    Parameters
    ----------
    names
        N Ensembl ids or symbols, in any mixture; surrounding space is ignored. An id's version
        (`.12`, also `.12_PAR_Y`) is dropped; `SYMBOL_ENSG00000198851` counts as the id in it.
        Symbols are matched exactly: current ones first, then older ones that lead to one gene.
    table
        Genes to map to.
    fallback_names
        N names to try where the first one does not match, such as symbols for ids. If neither
        matches, the status is the first name's, unless that is empty.

    Returns
    -------
    GeneMapping
        One entry per name, in the order of `names`.

    Raises
    ------
    UserError
        `fallback_names` has another length than `names`.
    """
    if fallback_names is not None and len(fallback_names) != len(names):
        raise UserError(
            "gene-names-length",
            found=f"{len(names):,} names and {len(fallback_names):,} fallback names",
            expected="one fallback name for each name",
            mend="give both columns of the same genes, in the same order",
        )
    given = tuple(map(str, names))
    spare = given if fallback_names is None else tuple(map(str, fallback_names))
    found = [_find_either(first, second, table) for first, second in zip(given, spare, strict=True)]
    rows = np.array([row for row, _ in found], dtype=np.int64)
    ensembl_ids = np.full(len(rows), "", dtype=object)
    ensembl_ids[rows >= 0] = table.ids[rows[rows >= 0]]
    return GeneMapping(
        names=given,
        ensembl_ids=ensembl_ids,
        rows=rows,
        status=np.array([status for _, status in found], dtype=object),
    )


def _find_either(name: str, fallback: str, table: GeneTable) -> tuple[int, Status]:
    first = _find(name, table)
    if first[0] >= 0 or name is fallback:
        return first
    second = _find(fallback, table)
    return second if second[0] >= 0 or not name.strip() else first


def _find(name: str, table: GeneTable) -> tuple[int, Status]:
    name = name.strip()
    if match := _IDS[table.species].fullmatch(name):
        ident = match[1]
        if (row := table.row_of_id.get(ident)) is not None:
            return row, "id"
        if (row := table.row_of_alias_id.get(ident)) is not None:
            return row, "alias_id"
        if ident in table.alone:
            return -1, "no_partner"
        return -1, "retired" if ident in table.retired else "unknown_id"
    if (row := table.row_of_symbol.get(name)) is not None:
        return row, "symbol"
    if (row := table.row_of_alias_symbol.get(name)) is not None:
        return row, "alias_symbol"
    if name in table.alone:
        return -1, "no_partner"
    return -1, "ambiguous" if name in table.ambiguous_symbols else "unknown_symbol"


def is_known(name: str, table: GeneTable) -> bool:
    """Whether a name denotes a current or former gene of the table."""
    if _IDS[table.species].fullmatch(name):
        return True
    return (
        name in table.row_of_symbol
        or name in table.alone
        or name in table.row_of_alias_symbol
        or name in table.ambiguous_symbols
    )


def is_foreign(name: str, table: GeneTable) -> bool:
    """Whether a name belongs to another species than the table: an Ensembl id, or a symbol it lacks.

    For human genes that is a symbol such as `Cd3e`; for mouse genes, `CD3E`.
    """
    if is_known(name, table):
        return False
    if table.species == "mouse":
        human = load_gene_table()
        return bool(_IDS["human"].fullmatch(name)) or name in human.row_of_symbol
    titled = _TITLE_CASE.fullmatch(name)
    return bool(_OTHER_ID.search(name)) or (bool(titled) and is_known(name.upper(), table))


# A list belongs to a species if this share of its names does, and no more belong to the other: real
# lists hold many uninformative names (clones, spike-ins, names of another annotation).
ENOUGH = 0.2

_OTHER_ID = re.compile(r"(?<![A-Za-z])ENS(?!G[0-9])[A-Z]{3,4}G[0-9]{11}")  # such as ENSMUSG
_MOUSE_ID = re.compile(r"ENSMUSG[0-9]{11}(?:\.[0-9]+)?")
_TITLE_CASE = re.compile(r"[A-Z][a-z0-9]*[a-z][a-z0-9]*(?:-[A-Za-z0-9]+)*|mt-[A-Z][a-z0-9]+")

_MONTH = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec)"
_DAY = "(?:0?[1-9]|[12][0-9]|3[01])"
_DATE = re.compile(
    rf"{_DAY}-(?:{_MONTH}|{_MONTH.upper()})(?:-[0-9]{{2,4}})?"  # 1-Mar, 02-SEP, 1-Mar-21
    rf"|{_MONTH}-[0-9]{{2}}"  # Mar-01; OCT-4 and Oct-4 are a protein
    r"|[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?: 00:00:00)?"
    r"|[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4}"
)


def guess_contents(names: Iterable[str]) -> str:
    """Guess what a list of gene names holds, for error messages only.

    Parameters
    ----------
    names
        Gene names as in a file. To find dates in an otherwise sound list, give only the names that
        did not match.

    Returns
    -------
    str
        "human": Ensembl ids or symbols of human genes;
        "mouse": ENSMUSG ids, or symbols such as `Cd3e` that are human in capitals;
        "spreadsheet-dates": neither, and some genes were turned into dates by a spreadsheet
        (`1-Mar` from MARCHF1, `Sep-02` from SEPTIN2, `2021-03-01`);
        "unknown": none of these.
    """
    listed = [str(name).strip() for name in names]
    human = _count_human(listed)
    titled = [name.upper() for name in listed if _TITLE_CASE.fullmatch(name)]
    mouse = sum(map(bool, map(_MOUSE_ID.fullmatch, listed))) + _count_human(titled)
    if listed and max(human, mouse) >= ENOUGH * len(listed):
        return "human" if human >= mouse else "mouse"
    return "spreadsheet-dates" if any(map(is_spreadsheet_date, listed)) else "unknown"


def is_spreadsheet_date(name: str) -> bool:
    """Whether a name is a date, such as `1-Mar`, to which spreadsheets convert MARCHF1."""
    return _DATE.fullmatch(name.strip()) is not None


def _count_human(names: list[str]) -> int:
    """Count human names: Ensembl ids by form, and symbols in the table."""
    return int((map_genes(names, load_gene_table()).status != "unknown_symbol").sum())
