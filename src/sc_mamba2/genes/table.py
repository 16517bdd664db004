"""The offline gene table: ids, symbols, biotypes, and look-ups from every name to a row.

`build_gencode.py` makes the shipped tables; `mapping.py` looks names up.
"""

import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import numpy as np
import pandas as pd

from sc_mamba2.errors import UserError, nearest

# table name: its genes, and ids of an older list that lead to none of them
_SHIPPED = {"gencode-v44": ("gencode-v44.csv.gz", "gencode-v38-retired.csv.gz")}
MOUSE, MOUSE_FILE = "gencode-v44-mouse", "mouse-genes.csv.gz"


@dataclass(frozen=True, eq=False)
class GeneTable:
    """All V genes of one annotation, one per row.

    Parameters
    ----------
    name
        Name of the annotation, `gencode-v44`.
    ids, symbols, biotypes
        (V,) object arrays, read-only. Ids are unique Ensembl ids without version; symbols are not
        unique, and a gene without one has its versioned id (`ENSG00000290826.1`).
    row_of_id, row_of_alias_id
        Ensembl id to row; alias ids are those of older annotations.
    row_of_symbol
        Symbols of exactly one gene.
    row_of_alias_symbol
        Older symbols that lead to exactly one gene and are not a current symbol.
    ambiguous_symbols
        Current and older symbols that lead to more than one gene.
    retired
        Older Ensembl ids that lead to no gene of this table, with their last symbol.
    species
        Species of the names: ``human`` or ``mouse``; ids are human.
    alone
        Ids and symbols of that species' genes without a one-to-one human orthologue.
    """

    name: str
    ids: np.ndarray
    symbols: np.ndarray
    biotypes: np.ndarray
    row_of_id: Mapping[str, int]
    row_of_alias_id: Mapping[str, int]
    row_of_symbol: Mapping[str, int]
    row_of_alias_symbol: Mapping[str, int]
    ambiguous_symbols: frozenset[str]
    retired: Mapping[str, str]
    species: str = "human"
    alone: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def from_frames(cls, name: str, genes: pd.DataFrame, retired: pd.DataFrame) -> "GeneTable":
        """Index the two tables that `build_gencode.py` makes.

        `genes` has `ensembl_id,symbol,biotype,alias_ids,alias_symbols`, text, aliases joined with `|`;
        `retired` has `ensembl_id,symbol`.
        """
        row_of_id = {ident: row for row, ident in enumerate(genes["ensembl_id"])}
        row_of_alias_id = dict(_split_aliases(genes["alias_ids"]))
        assert len(row_of_id) == len(genes) and row_of_id.keys().isdisjoint(row_of_alias_id)
        counts = Counter(genes["symbol"])
        # Rows that each older symbol leads to; -1 is a retired gene that had the symbol.
        owners: dict[str, set[int]] = defaultdict(set)
        gone = ((symbol, -1) for symbol in retired["symbol"])
        for alias, row in (*_split_aliases(genes["alias_symbols"]), *gone):
            owners[alias].add(row)
        older = {alias: rows for alias, rows in owners.items() if alias not in counts}
        single = {alias: min(rows) for alias, rows in older.items() if len(rows) == 1}
        return cls(
            name=name,
            ids=_frozen(genes["ensembl_id"]),
            symbols=_frozen(genes["symbol"]),
            biotypes=_frozen(genes["biotype"]),
            row_of_id=row_of_id,
            row_of_alias_id=row_of_alias_id,
            row_of_symbol={s: row for row, s in enumerate(genes["symbol"]) if counts[s] == 1},
            row_of_alias_symbol={alias: row for alias, row in single.items() if row >= 0},
            ambiguous_symbols=frozenset(s for s, count in counts.items() if count > 1)
            | (older.keys() - single.keys()),
            retired=dict(zip(retired["ensembl_id"], retired["symbol"], strict=True)),
        )

    def by_orthologues(self, name: str, genes: pd.DataFrame) -> "GeneTable":
        """Return this table with look-ups by the names of mouse genes.

        `genes` has `ensembl_id,symbol,human_id` (see `build_mouse.py`); a row's symbol is the mouse gene's.
        """
        paired = genes[genes["human_id"].isin(self.row_of_id.keys())]
        rows = [self.row_of_id[ident] for ident in paired["human_id"]]
        symbols = self.symbols.copy()
        symbols[rows] = paired["symbol"]
        row_of_id = dict(zip(paired["ensembl_id"], rows, strict=True))
        row_of_symbol = dict(zip(paired["symbol"], rows, strict=True))
        others = {*genes["ensembl_id"], *genes["symbol"]} - row_of_id.keys() - row_of_symbol.keys()
        return replace(
            self,
            name=name,
            symbols=_frozen(symbols),
            row_of_id={ident: row for ident, row in row_of_id.items() if ident},
            row_of_symbol=row_of_symbol,
            row_of_alias_id={},
            row_of_alias_symbol={},
            ambiguous_symbols=frozenset(),
            retired={},
            species="mouse",
            alone=frozenset(others - {""}),
        )


def _split_aliases(column: Iterable[str]) -> Iterable[tuple[str, int]]:
    for row, joined in enumerate(column):
        for alias in joined.split("|") if joined else ():
            yield alias, row


def _frozen(column: pd.Series | np.ndarray) -> np.ndarray:
    # The table is cached and shared, so it is read-only.
    values = np.array(column, dtype=object)
    values.setflags(write=False)
    return values


def load_gene_table(name: str = "gencode-v44") -> GeneTable:
    """Load a gene table that ships with the package; the same object at every call.

    Raises
    ------
    UserError
        No table of that name ships with the package.
    """
    known = (*_SHIPPED, MOUSE)
    if name not in known:
        raise UserError(
            "unknown-gene-table",
            found=f"'{name}'",
            expected=f"one of {', '.join(known)}",
            mend=f"choose one of these gene tables{nearest(name, known)}",
        )
    return _load(name)


@cache
def _load(name: str) -> GeneTable:
    if name == MOUSE:
        return load_gene_table().by_orthologues(name, _read_shipped(MOUSE_FILE))
    return GeneTable.from_frames(name, *map(_read_shipped, _SHIPPED[name]))


def _read_shipped(file: str) -> pd.DataFrame:
    content = resources.files("sc_mamba2.genes").joinpath("data", file).read_bytes()
    return pd.read_csv(io.BytesIO(content), compression="gzip", dtype=str, keep_default_na=False)
