"""Clean gene names: remove a genome's name, quotes and byte marks, and the dots of R.

No name is changed by a guess: a prefix is removed only if many names have it and most of them are
known without it. What was done is counted.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from sc_mamba2.genes.mapping import is_foreign, is_known
from sc_mamba2.genes.table import GeneTable

_TEXT = re.compile(r"""b'(.*)'|b"(.*)"|"(.*)"|'(.*)'""")
_GENOME = r"(?:GRC[hm]\d+|hg\d+|mm\d+|human|mouse|homo_sapiens|mus_musculus)\w*"
_SUFFIX = re.compile(rf"[_\-|:. ]+(?:{_GENOME}|chr(?:\d+|[XYM]))$", re.I)
_BREAK = re.compile(r"[_\-|:.\s]+")
MAX_BREAKS = 6  # in a name, after which a prefix may end
MIN_NAMES, SHARE = 5, 0.02  # number and share of names that must have a prefix
KNOWN_SHARE = 0.5  # share of these that must be known without it


@dataclass(frozen=True)
class CleanedNames:
    """Cleaned names, and from how many names each addition was removed."""

    names: list[str]
    taken_off: dict[str, int] = field(default_factory=dict)


def clean_names(names: list[str], table: GeneTable) -> CleanedNames:
    """Remove additions from gene names; order and number stay.

    Parameters
    ----------
    names
        As in the file.
    table
        Genes that are known.

    Returns
    -------
    CleanedNames
        ``TP53`` for ``GRCh38_TP53``, ``hg19---TP53``, ``b'TP53'``, ``"TP53"``; ``HLA-A`` for R's ``HLA.A``
        in a list without any hyphens.
    """
    taken: Counter[str] = Counter()
    plain = []
    for name in names:
        bare = name.strip()
        if match := _TEXT.fullmatch(bare):
            bare = next(part for part in match.groups() if part is not None).strip()
            taken["marks of text"] += 1
        plain.append(bare)
    unknown = [place for place, name in enumerate(plain) if not is_known(name, table)]
    if len(unknown) < MIN_NAMES:
        return CleanedNames(plain, dict(taken))
    for take_off in (_without_prefixes, _without_suffix, _with_hyphens):
        for place, (name, what) in take_off(plain, unknown, table).items():
            plain[place] = name
            taken[what] += 1
        unknown = [place for place in unknown if not is_known(plain[place], table)]
    return CleanedNames(plain, dict(taken))


_Found = dict[int, tuple[str, str]]  # position of a name: the cleaned name, and what was removed


def _without_prefixes(names: list[str], places: list[int], table: GeneTable) -> _Found:
    places_by_prefix: defaultdict[str, list[int]] = defaultdict(list)
    for place in places:
        ends = [match.end() for match in _BREAK.finditer(names[place])][:MAX_BREAKS]
        for end in ends:
            if end < len(names[place]):
                places_by_prefix[names[place][:end]].append(place)
    enough = max(MIN_NAMES, SHARE * len(names))
    found: _Found = {}
    # Longest prefix first: "GRCh38-2020-A_" before "GRCh38-".
    for prefix in sorted(places_by_prefix, key=len, reverse=True):
        own = [place for place in places_by_prefix[prefix] if place not in found]
        if len(own) < enough:
            continue
        bare = [names[place][len(prefix) :] for place in own]
        known = sum(is_known(name, table) or is_foreign(name, table) for name in bare)
        if known >= max(KNOWN_SHARE * len(own), enough):
            found |= {place: (name, f"'{prefix}'") for place, name in zip(own, bare, strict=True)}
    return found


def _without_suffix(names: list[str], places: list[int], table: GeneTable) -> _Found:
    bare = {place: _SUFFIX.sub("", names[place]) for place in places}
    return {
        place: (
            name,
            "a chromosome"
            if "chr" in names[place][len(name) :]
            else f"'{names[place][len(name) :]}'",
        )
        for place, name in bare.items()
        if name != names[place] and is_known(name, table)
    }


def _with_hyphens(names: list[str], places: list[int], table: GeneTable) -> _Found:
    if any("-" in name for name in names):
        return {}
    hyphens = {place: names[place].replace(".", "-") for place in places if "." in names[place]}
    known = {place: name for place, name in hyphens.items() if is_known(name, table)}
    if len(known) < MIN_NAMES:
        return {}
    return {place: (name, "dots instead of hyphens") for place, name in known.items()}
