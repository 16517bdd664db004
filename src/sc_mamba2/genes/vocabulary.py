"""The vocabulary: the gene of each row of a model's embedding table.

A checkpoint carries its own as `vocabulary.json`. Genes are found by Ensembl id, never by index;
`mapping.py` turns the names in a file into Ensembl ids.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from sc_mamba2.errors import UserError
from sc_mamba2.genes.table import GeneTable, load_gene_table

PAD = "<pad>"
CLS = "<cls>"
_EXAMPLES = 3


def is_special(ident: str) -> bool:
    """Whether an id is that of a special token."""
    return ident.startswith("<") and ident.endswith(">")


@dataclass(frozen=True)
class Vocabulary:
    """The rows of an embedding table, each a gene or a special token; the row is the token id.

    Parameters
    ----------
    name
        Name, such as `gencode-v44`.
    ids
        V unique Ensembl ids; special tokens are written `<pad>`, `<cls>` and may be at any row.
        A row of an imported vocabulary may carry another id.
    symbols
        V symbols for display, not necessarily unique.

    Raises
    ------
    UserError
        The ids are not unique, the lengths differ, or `<pad>` or `<cls>` is missing.
    """

    name: str
    ids: tuple[str, ...]
    symbols: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.symbols):
            raise _broken(
                f"{len(self.ids):,} ids and {len(self.symbols):,} symbols", "a symbol for each id"
            )
        if len(self._row_of_id) != len(self.ids):
            twice = [ident for ident, count in Counter(self.ids).items() if count > 1]
            raise _broken(f"more than once: {_some(twice)}", "unique ids")
        if missing := [special for special in (PAD, CLS) if special not in self._row_of_id]:
            raise _broken(f"no {' and no '.join(missing)}", f"{PAD} and {CLS} among the ids")
        if "" in self._row_of_id:
            raise _broken(f"an empty id at row {self._row_of_id['']}", "an id in every row")

    @cached_property
    def _row_of_id(self) -> dict[str, int]:
        return {ident: row for row, ident in enumerate(self.ids)}

    @property
    def size(self) -> int:
        """Number of rows V, special tokens included."""
        return len(self.ids)

    @property
    def pad_id(self) -> int:
        """Row of `<pad>`."""
        return self._row_of_id[PAD]

    @property
    def cls_id(self) -> int:
        """Row of `<cls>`."""
        return self._row_of_id[CLS]

    @cached_property
    def gene_rows(self) -> np.ndarray:
        """Rows that are not special tokens, ascending; int64, read-only."""
        rows = np.array(
            [row for row, ident in enumerate(self.ids) if not is_special(ident)], dtype=np.int64
        )
        rows.setflags(write=False)
        return rows

    @cached_property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of `to_json()`: identifies equal vocabularies."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def rows_of(self, ids: Iterable[str]) -> np.ndarray:
        """Return the rows of N ids, matched exactly: (N,) int64, -1 where there is none."""
        row_of_id = self._row_of_id
        return np.array([row_of_id.get(ident, -1) for ident in ids], dtype=np.int64)

    def subset(self, ids: Iterable[str], name: str | None = None) -> "Vocabulary":
        """Return a vocabulary with the special tokens and the genes of some ids, in any order.

        Special tokens come first, then the genes, both in this vocabulary's order. Without a `name` it is
        this one's with `-subset-` and the number of genes appended.

        Raises
        ------
        UserError
            An id that this vocabulary lacks.
        """
        wanted = set(ids)
        if unknown := sorted(wanted - self._row_of_id.keys()):
            raise UserError(
                "gene-not-in-vocabulary",
                found=f"{len(unknown):,} ids that '{self.name}' lacks: {_some(unknown)}",
                expected="ids of the vocabulary's genes",
                mend="map the names to Ensembl ids first, and drop unmapped ones",
            )
        specials = [row for row, ident in enumerate(self.ids) if is_special(ident)]
        genes = [int(row) for row in self.gene_rows if self.ids[row] in wanted]
        rows = specials + genes
        return Vocabulary(
            name=f"{self.name}-subset-{len(genes)}" if name is None else name,
            ids=tuple(self.ids[row] for row in rows),
            symbols=tuple(self.symbols[row] for row in rows),
        )

    def to_json(self) -> str:
        """Return the canonical JSON: an object of `ids`, `name`, `symbols`, ASCII, no spaces."""
        content = {"name": self.name, "ids": self.ids, "symbols": self.symbols}
        return json.dumps(content, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Vocabulary":
        """Parse the output of `to_json`; refuse another form, and what `Vocabulary` itself refuses."""
        try:
            content = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise _broken(f"no JSON ({error})", "the JSON text of a vocabulary") from error
        if not isinstance(content, dict) or content.keys() != {"name", "ids", "symbols"}:
            found = f"keys {_some(list(content))}" if isinstance(content, dict) else "no object"
            raise _broken(found, "an object of name, ids and symbols")
        if not isinstance(content["name"], str):
            raise _broken(f"name {content['name']!r}", "a string as name")
        for key in ("ids", "symbols"):
            values = content[key]
            if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
                raise _broken(
                    f"{key} that are not a list of strings", f"{key} as a list of strings"
                )
        return cls(content["name"], tuple(content["ids"]), tuple(content["symbols"]))

    @classmethod
    def from_table(cls, table: GeneTable) -> "Vocabulary":
        """Build the vocabulary of a whole gene table: `<pad>`, `<cls>`, then its genes in order."""
        return cls(table.name, (PAD, CLS, *table.ids), (PAD, CLS, *table.symbols))


def _broken(found: str, expected: str) -> UserError:
    return UserError(
        "vocabulary-broken",
        found=found,
        expected=expected,
        mend="use the vocabulary.json that was written with the checkpoint",
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:_EXAMPLES]) + (", …" if len(names) > _EXAMPLES else "")


def load_vocabulary(name: str = "gencode-v44") -> Vocabulary:
    """Load the vocabulary of a shipped gene table; the same object at every call.

    Raises
    ------
    UserError
        No gene table of that name ships with the package.
    """
    return _of_table(load_gene_table(name))


@cache
def _of_table(table: GeneTable) -> Vocabulary:
    return Vocabulary.from_table(table)
