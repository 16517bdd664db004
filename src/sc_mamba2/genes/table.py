"""The offline gene table: ids, symbols, biotypes and the look-ups from every name to a row.

The shipped tables are made by `build_gencode.py`; how a name is looked up stands in `mapping.py`.
"""

import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import pandas as pd

from sc_mamba2.errors import UserError, nearest

# name of a table: its genes, and the ids of an older list that lead to none of them
_SHIPPED = {"gencode-v44": ("gencode-v44.csv.gz", "gencode-v38-retired.csv.gz")}


@dataclass(frozen=True, eq=False)
class GeneTable:
    """All genes of one annotation, a row each; V genes.

    Parameters
    ----------
    name
        Name of the annotation, `gencode-v44`.
    ids, symbols, biotypes
        (V,) object arrays, read-only. Ids are unique Ensembl ids without version; symbols are not
        unique, and a gene without one carries its versioned id (`ENSG00000290826.1`).
    row_of_id, row_of_alias_id
        Ensembl id to row; alias ids are those of older annotations.
    row_of_symbol
        Symbols that exactly one gene bears.
    row_of_alias_symbol
        Older symbols that lead to exactly one gene and are no gene's symbol today.
    ambiguous_symbols
        Symbols, today's and older ones, that lead to more than one gene.
    retired
        Older Ensembl ids that lead to no gene of this table, with their last symbol.
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
        bearers = Counter(genes["symbol"])
        # Rows that each older symbol leads to; -1 stands for a retired gene, which owned one too.
        owners: dict[str, set[int]] = defaultdict(set)
        gone = ((symbol, -1) for symbol in retired["symbol"])
        for alias, row in (*_split_aliases(genes["alias_symbols"]), *gone):
            owners[alias].add(row)
        older = {alias: rows for alias, rows in owners.items() if alias not in bearers}
        single = {alias: min(rows) for alias, rows in older.items() if len(rows) == 1}
        return cls(
            name=name,
            ids=_frozen(genes["ensembl_id"]),
            symbols=_frozen(genes["symbol"]),
            biotypes=_frozen(genes["biotype"]),
            row_of_id=row_of_id,
            row_of_alias_id=row_of_alias_id,
            row_of_symbol={s: row for row, s in enumerate(genes["symbol"]) if bearers[s] == 1},
            row_of_alias_symbol={alias: row for alias, row in single.items() if row >= 0},
            ambiguous_symbols=frozenset(s for s, count in bearers.items() if count > 1)
            | (older.keys() - single.keys()),
            retired=dict(zip(retired["ensembl_id"], retired["symbol"], strict=True)),
        )


def _split_aliases(column: Iterable[str]) -> Iterable[tuple[str, int]]:
    for row, joined in enumerate(column):
        for alias in joined.split("|") if joined else ():
            yield alias, row


def _frozen(column: pd.Series) -> np.ndarray:
    # The table is cached and shared: nobody may write into it.
    values = column.to_numpy(dtype=object, copy=True)
    values.setflags(write=False)
    return values


def load_gene_table(name: str = "gencode-v44") -> GeneTable:
    """Load a gene table that ships with the package; the same object at every call.

    Raises
    ------
    UserError
        No table of that name ships with the package.
    """
    if name not in _SHIPPED:
        raise UserError(
            "unknown-gene-table",
            found=f"'{name}'",
            expected=f"one of {', '.join(_SHIPPED)}",
            mend=f"name a shipped gene table{nearest(name, _SHIPPED)}",
        )
    return _load(name)


@cache
def _load(name: str) -> GeneTable:
    return GeneTable.from_frames(name, *map(_read_shipped, _SHIPPED[name]))


def _read_shipped(file: str) -> pd.DataFrame:
    content = resources.files("sc_mamba2.genes").joinpath("data", file).read_bytes()
    return pd.read_csv(io.BytesIO(content), compression="gzip", dtype=str, keep_default_na=False)
