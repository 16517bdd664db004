"""The Cell Ontology (CL): the terms that labels denote, and the common parents of several types.

The table ships with the package, see `data/README.md`; `build_cell_ontology.py` made it.
"""

import gzip
import io
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources

import pandas as pd

from sc_mamba2.cells.build_cell_ontology import FILE

# What a cell does or has, not what it is: true of many, useless as a name.
_GENERAL = (
    "cell, eukaryotic cell, nucleate cell, single nucleate cell, binucleate cell, multinucleate cell, "
    "anucleate cell, motile cell, secretory cell, stuff accumulating cell, electrically active cell, "
    "electrically responsive cell, electrically signaling cell, contractile cell, precursor cell, "
    "progenitor cell, stem cell, phagocyte, supporting cell, ciliated cell, "
    "professional antigen presenting cell, abnormal cell"
)
TOO_GENERAL = frozenset(_GENERAL.split(", "))
_WORDS = "cell-type-words.csv"
_GREEK = str.maketrans({"α": "alpha ", "β": "beta ", "γ": "gamma ", "δ": "delta ", "ε": "epsilon "})
_MARKER = re.compile(r"(?<!\S)\w+[+-](?!\S)")


class CellOntology:
    """Terms by id, with their names and ancestors.

    Parameters
    ----------
    table
        ``id,name,synonyms,parents``, the last two joined with ``|``; every parent is a term.
    words
        ``words,name,beside,without``: ways to write a type, see `data/README.md`.
    """

    def __init__(self, table: pd.DataFrame, words: pd.DataFrame) -> None:
        self.names = dict(zip(table["id"], table["name"], strict=True))
        self.id_of_name = {name: ident for ident, name in self.names.items()}
        parents = dict(zip(table["id"], table["parents"], strict=True))
        self._parents = {ident: _parts(above) for ident, above in parents.items()}
        self._above: dict[str, frozenset[str]] = {}
        self._words = [
            (key, name, _parts(required), _parts(without))
            for key, name, required, without in words.itertuples(index=False)
        ]
        self._below = Counter(a for ident in self.names for a in self.ancestors(ident))
        names = [(_key(name), ident) for ident, name in self.names.items()]
        synonyms = [
            (_key(synonym, whole=True), ident)
            for ident, joined in zip(table["id"], table["synonyms"], strict=True)
            for synonym in joined.split("|")
            if "(Mmus)" not in self.names[ident]
            # One word in capitals is an acronym: IPC is a blood cell here, but a brain cell to others.
            and (len(re.findall(r"\w+", synonym)) > 1 or synonym[1:].islower())
        ]
        self._ids = _unambiguous(synonyms) | _unambiguous(names)

    def ancestors(self, ident: str) -> frozenset[str]:
        """Return the term and all its ancestors."""
        if ident not in self._above:
            above = (self.ancestors(parent) for parent in self._parents[ident])
            self._above[ident] = frozenset({ident}).union(*above)
        return self._above[ident]

    def common_parent(self, idents: Iterable[str]) -> str | None:
        """Return the narrowest term that covers all of these; ``None``: only `TOO_GENERAL` ones do.

        The narrowest has the fewest descendants, which is always a lowest common ancestor; ties go to
        the first id.
        """
        common = frozenset.intersection(*map(self.ancestors, idents))
        named = [ident for ident in common if self.names[ident] not in TOO_GENERAL]
        return min(named, key=lambda ident: (self._below[ident], ident), default=None)

    def match(
        self, labels: Iterable[str], known: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Map the labels of a file to terms.

        By id or exact name; then, ignoring case, word order, plural, ``cell``, ``_``, ``-``, ``+`` and
        ``-positive``, by a common spelling, the name or an exact synonym; then without the label's markers
        (``NK CD158e1+``), as a broader type. Nothing is guessed: a label that means two terms is left out,
        and so are single letters unless all are B and T.

        Parameters
        ----------
        labels
            All labels of the file; a few mean a type only beside others (``alpha``, ``CD34+``).
        known
            Ids of some labels; preferred if they are terms.

        Returns
        -------
        dict
            Id by label, for the labels that have one.
        """
        labels = list(labels)
        keys = {_key(label) for label in labels}
        letters = {label.lower() for label in labels if len(label) == 1}
        # Words valid everywhere come first, so that those that depend on other labels override them.
        words = {
            key: name
            for key, name, required, without in self._words
            if required <= keys and not without & keys
        }
        found = {}
        for label in labels:
            if (ident := (known or {}).get(label, label)) in self.names:
                found[label] = ident
            elif len(label) > 1 or letters <= {"b", "t"}:
                found[label] = self._find(label, words)
        return {label: ident for label, ident in found.items() if ident}

    def _find(self, label: str, words: dict[str, str]) -> str | None:
        """Return a label's term, or that of the label without its last marker."""
        if label in self.id_of_name:
            return self.id_of_name[label]
        if (key := _key(label)) in ("", "cell"):
            return None
        if key in words:
            return self.id_of_name[words[key]]
        if ident := self._ids.get(key) or self._ids.get(_key(label, whole=True)):
            return ident
        markers = list(_MARKER.finditer(label))
        if not markers:
            return None
        start, end = markers[-1].span()
        return self._find(label[:start] + label[end:], words)


def _key(label: str, whole: bool = False) -> str:
    """Return a label's normalised words in alphabetical order; `whole` keeps the word cell."""
    text = re.sub(r"(?<=\w)-(?=[\s/,|]|$)", " negative", label.lower().translate(_GREEK))
    words = re.findall(r"\w+", text.replace("-positive", "").replace("_", " "))
    words = [word[:-1] if len(word) > 3 and re.search(r"[^s]s$", word) else word for word in words]
    words = ["monocyte" if word == "mono" else word for word in words]
    if not whole and len(words) > 1:
        words = [word for word in words if word != "cell"]
    # By convention, a CD4 or CD8 T cell has an alpha-beta receptor.
    if "t" in words and {"cd4", "cd8"} & set(words) and not {"gamma", "nk"} & set(words):
        words = [*words, "alpha", "beta"]
    return " ".join(sorted(set(words)))


def _parts(joined: str) -> frozenset[str]:
    return frozenset(joined.split("|")) if joined else frozenset()


def _unambiguous(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return the id of each key that has only one."""
    ids_by_key: dict[str, set[str]] = {}
    for key, ident in pairs:
        ids_by_key.setdefault(key, set()).add(ident)
    return {key: next(iter(idents)) for key, idents in ids_by_key.items() if len(idents) == 1}


@cache
def load_cell_ontology() -> CellOntology:
    """Return the shipped Cell Ontology."""
    folder = resources.files("sc_mamba2.cells").joinpath("data")
    packed = gzip.decompress(folder.joinpath(FILE).read_bytes())
    tables = (
        pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
        for content in (packed, folder.joinpath(_WORDS).read_bytes())
    )
    return CellOntology(*tables)
