"""What the name of a perturbation means: one function for those of a file and those of a request.

A name is one perturbation or several joined by a sign, with or without doses; guides of one gene are one
target, and negative controls have many spellings. A canonical name has its parts in alphabetical order,
joined by "+", a dose behind a "@".
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table, map_genes

JOINT = "+"
DOSE = "@"
SIGNS = (JOINT, "|", ";", ",", "&", "/", ":")

_NUMBER = re.compile(r"\s*[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?\s*")
# Words for negative controls, without case, blanks and signs; those of one line are alike.
_CONTROLS = (
    "control controls ctrl unperturbed neg negctrl negcontrol negativecontrol negativectrl nt ntc ntctrl "
    "ntcontrol nontarget nontargeting nontargetingcontrol nontargetingctrl nontargetingguide "
    "nontargetinghuman scramble scrambled safetarget safetargeting safeharbor notarget nosite intergenic "
    "oneintergenicsite nongenesite onenongenesite",
    "dmso dmsocontrol vehicle vehiclecontrol vehiclectrl solvent solventcontrol pbs mock",
    "untreated untreatedcontrol unstimulated unstim nostim notreatment",
)
_FAMILY = {word: at for at, line in enumerate(_CONTROLS) for word in line.split()}
_BESIDE_CONTROL = re.compile(r"^(?:sgrna|grna|sg)|(?:sgrna|grna|guide|rep|sg|g)$")
_GUIDE = "(?:sg|sgRNA|sgrna|g|gRNA|grna|guide|sh|shRNA|rep)"
_AIMED = "(?:sgRNA|gRNA|shRNA|p_sg|sg|sh)[-_ ]?"
# From the target in a guide's name, the plainest first; the last two need today's symbol.
_GUIDES = (
    re.compile(rf"{_AIMED}(.+?)"),
    re.compile(rf"{_AIMED}(.+)[-_. ]{_GUIDE}?[-_]?[0-9]{{1,4}}"),
    re.compile(r"(.+?)[-_](?:[+-]|pos|neg|plus|minus)_[0-9][^|;,&+]*[+-]?"),
    re.compile(r"(.+?)[-_][ACGTacgt]{15,}"),
    re.compile(r"(.+?)[-_]p[A-Z]{1,3}[0-9]+"),
    re.compile(r"(.+?)[-_ ](?:KO|KD|OE|ko|kd|oe)(?:[-_]?[0-9]{1,3})?"),
    re.compile(rf"(.+?)[-_. ]{_GUIDE}[-_]?[0-9]{{1,4}}"),
    re.compile(r"(.+?)s?g[0-9]{1,3}"),
    re.compile(r"(.+)[-_.#][0-9]{1,5}"),
)
_LOOSE = 2


@dataclass(frozen=True)
class NameRules:
    """How names are read.

    Attributes
    ----------
    control
        How unperturbed cells are called.
    genes
        Whether names may be genes, and guides of genes; those of compounds are not.
    join_guides
        Whether the guides of one target are one perturbation.
    joined_by
        Sign that joins names whatever is known of them, "" for none; ``None``: any of `SIGNS`, or
        underscores, where every part is a name of the file, a gene, or the control.
    """

    control: str
    genes: bool = True
    join_guides: bool = True
    joined_by: str | None = None


@dataclass(frozen=True)
class PerturbationNames:
    """The names that are known; see `learn_names`.

    Attributes
    ----------
    rules
        How they are read.
    singles
        Names of single perturbations, as a file spells them.
    whole
        Those of them that hold a "+" and are one perturbation.
    controls
        Spellings of the control.
    of_gene
        By Ensembl id the name that a gene goes by here.
    """

    rules: NameRules
    singles: frozenset[str] = frozenset()
    whole: frozenset[str] = frozenset()
    controls: frozenset[str] = frozenset()
    of_gene: dict[str, str] = field(default_factory=dict)

    def resolve(self, text: str) -> str:
        """Return the canonical name of a perturbation, or the control's.

        Raises
        ------
        UserError
            ``perturbation-name``: nothing beside a "+" that joins. ``perturbation-dose``: a dose of 0.
        """
        pieces = self.pieces(text.strip())
        if len(pieces) == 1:
            return self._single(pieces[0])
        parts = {
            part
            for piece in pieces
            if not self.is_control(piece)
            for part in parts_of(self.resolve(piece), self.whole)
        }
        return JOINT.join(sorted(parts - {self.rules.control})) or self.rules.control

    def pieces(self, text: str) -> list[str]:
        """Take a name apart where it is a combination; else it is its only piece."""
        sign = self.rules.joined_by
        if sign is not None:
            found = [piece.strip() for piece in text.split(sign)] if sign else [text]
            return found if all(found) else _nothing_beside(text, sign)
        if base_and_dose(text)[0] in self.whole or self.is_control(text) or self._is_one(text):
            return [text]
        for sign in SIGNS:
            found = _joined(text, sign, self.whole)
            filled = [piece for piece in found if piece]
            beside_control = any(map(self.is_control, filled))
            if len(found) > 1 and filled and (beside_control or all(map(self.knows, filled))):
                if len(filled) == len(found):
                    return found
                if sign == JOINT:
                    return _nothing_beside(text, sign)
        found = [piece for piece in text.split("_") if piece]
        return found if len(found) > 1 and all(map(self.knows, found)) else [text]

    def is_control(self, text: str) -> bool:
        """Whether a name is the control's."""
        return text in self.controls or text == self.rules.control or alike(text, self.rules)

    def knows(self, piece: str) -> bool:
        """Whether a piece of a name is a name by itself: of the file, of a gene, of the control."""
        base = base_and_dose(piece)[0]
        return bool(base) and (base in self.singles or self.is_control(base) or self._is_one(base))

    def _is_one(self, text: str) -> bool:
        """Whether a name is that of a gene or of its guide."""
        return self.rules.genes and bool(gene_of(text) or self.target(text))

    def target(self, text: str) -> str | None:
        """Return what a guide is aimed at, ``None`` where a name is no guide's."""
        if not self.rules.genes or gene_of(text, sure=False):
            return None
        targets = guide_targets(text)
        own = (
            name for name, loose in targets if name in self.singles or gene_of(name, today=loose)
        )
        return next(own, None)

    def _single(self, text: str) -> str:
        base, dose = base_and_dose(text)
        if self.is_control(base):
            return self.rules.control
        if dose == 0:
            raise UserError(
                "perturbation-dose",
                found=f"the perturbation '{text}' with a dose of 0",
                expected="a dose above 0",
                mend=f"correct it, or call these cells '{self.rules.control}'",
            )
        if self.rules.genes:
            if self.rules.join_guides:
                base = self.target(base) or base
            if ident := gene_of(base):
                base = self.of_gene.get(ident, base)
                base = symbol_of(ident) if base.startswith("ENSG") else base
        return base if dose is None else with_dose(base, dose)


def learn_names(labels: Iterable[str], rules: NameRules) -> PerturbationNames:
    """Learn from all names of a file, or of a model, which are single, whole, guides or the control.

    Raises
    ------
    UserError
        See `PerturbationNames.resolve`.
    """
    listed = sorted({label.strip() for label in labels})
    controls = frozenset(control_spellings(listed, rules))
    names = PerturbationNames(rules, controls=controls)
    plain = {label for label in listed if not any(sign in label for sign in SIGNS)}
    for label in listed:  # "A+ctrl" says that A is a name
        pieces = names.pieces(label)
        if any(map(names.is_control, pieces)):
            plain |= {piece for piece in pieces if not any(sign in piece for sign in SIGNS)}
    plain = {base_and_dose(label)[0] for label in plain} - controls
    known = PerturbationNames(rules, frozenset(plain), controls=controls)
    alone = {label for label in listed if len(known.pieces(label)) == 1} - controls
    bases = {base_and_dose(label)[0] for label in alone}
    singles = frozenset(plain | bases)
    known = PerturbationNames(rules, singles, controls=controls)
    resolved = {known.resolve(base) for base in bases}
    whole = {name for name in resolved if JOINT in name}
    return PerturbationNames(
        rules, singles, frozenset(whole), controls, _names_of_genes(known, bases | plain)
    )


def _names_of_genes(known: PerturbationNames, bases: Iterable[str]) -> dict[str, str]:
    """Return the name by which each gene goes; of several spellings today's symbol."""
    if not known.rules.genes:
        return {}
    spellings: dict[str, set[str]] = defaultdict(set)
    for base in bases:
        target = known.target(base) if known.rules.join_guides else None
        name = target or base
        if ident := gene_of(name):
            spellings[ident].add(name)
    return {
        ident: next(iter(own)) if len(own) == 1 else symbol_of(ident)
        for ident, own in spellings.items()
    }


def parts_of(name: str, whole: Collection[str]) -> tuple[str, ...]:
    """Return the single perturbations of a canonical name in alphabetical order, each once.

    `whole` are names with a "+" that are one perturbation.
    """
    if base_and_dose(name)[0] in whole:
        return (name,)
    found = _joined(name, JOINT, whole)
    return tuple(sorted(set(found))) if all(found) else (name,)


def base_and_dose(part: str) -> tuple[str, float | None]:
    """Return a single perturbation without its dose, and the dose; ``None`` where it has none.

    A dose is a number behind the last "@": "GSK @ site" has none.
    """
    base, sign, dose = part.rpartition(DOSE)
    if not sign or not base.strip() or not _NUMBER.fullmatch(dose):
        return part, None
    return base.strip(), float(dose)


def with_dose(base: str, dose: float) -> str:
    """Put a dose behind a single perturbation; "1e5" has no "+", which would join."""
    return f"{base}{DOSE}{dose:.12g}".replace("e+", "e")


def control_spellings(labels: Iterable[str], rules: NameRules) -> set[str]:
    """Return which of some names are the control's.

    The very name, its guides ("NT_00012"), and other words of its kind ("non-targeting" for "control"). Where
    there is none of these, words of another kind ("DMSO"), if they are of one kind only.
    """
    listed = list(labels)
    own = {label for label in listed if label == rules.control or alike(label, rules)}
    if rules.genes:
        own |= {
            label
            for label in listed
            if rules.control in (target for target, _ in guide_targets(label))
        }
    if own or family(rules.control) is None:
        return own
    others = {label: family(label) for label in listed if family(label) is not None}
    return set(others) if len(set(others.values())) == 1 else set()


def alike(text: str, rules: NameRules) -> bool:
    """Whether a name is a word for controls of the same kind as the control's own name."""
    kind = family(text)
    return kind is not None and kind == family(rules.control)


@lru_cache(maxsize=65536)
def family(text: str) -> int | None:
    """Return the kind of control that a name is a word for, with or without a number, or ``None``."""
    folded = re.sub(r"[\s_\-./]+", "", text.lower())
    if folded in _FAMILY or gene_of(text, today=True):
        return _FAMILY.get(folded)
    stem = folded.rstrip("0123456789")
    return _FAMILY.get(stem, _FAMILY.get(_BESIDE_CONTROL.sub("", stem)))


def guide_targets(text: str) -> Iterator[tuple[str, bool]]:
    """Give what a name may be a guide of, the likeliest first, and whether the pattern is a loose one."""
    for place, pattern in enumerate(_GUIDES):
        if match := pattern.fullmatch(text):
            yield match[1], place >= len(_GUIDES) - _LOOSE


@lru_cache(maxsize=65536)
def gene_of(name: str, *, today: bool = False, sure: bool = True) -> str:
    """Return the Ensembl id of a gene's name, "" where it is none.

    With `today` older symbols do not count; without `sure` ambiguous and retired names are "?".
    """
    found = map_genes([name], load_gene_table())
    status = found.status[0]
    if status in ("unknown_id", "unknown_symbol"):
        return ""
    if status in ("ambiguous", "retired"):
        return "" if sure else "?"
    return "" if today and status == "alias_symbol" else str(found.ensembl_ids[0])


def target_gene(name: str) -> str:
    """Return the Ensembl id of the gene that a single perturbation, or a guide, is aimed at, or ""."""
    base = base_and_dose(name)[0]
    if found := gene_of(base, sure=False):
        return found.removeprefix("?")
    targets = (gene_of(target, today=loose) for target, loose in guide_targets(base))
    return next(filter(None, targets), "")


def symbol_of(ident: str) -> str:
    """Return today's symbol of a gene, or its id where it has none."""
    table = load_gene_table()
    return str(table.symbols[table.row_of_id[ident]]) or ident


def _joined(text: str, sign: str, whole: Collection[str]) -> list[str]:
    """Split at a sign outside of brackets; what is one by `whole` is put together again."""
    tokens, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == sign and depth <= 0:
            tokens.append(text[start:at].strip())
            start = at + 1
    tokens.append(text[start:].strip())
    pieces, at = [], 0
    while at < len(tokens):
        longer = range(len(tokens), at + 1, -1)
        joins = (end for end in longer if base_and_dose(sign.join(tokens[at:end]))[0] in whole)
        end = next(joins, at + 1)
        pieces.append(sign.join(tokens[at:end]))
        at = end
    return pieces


def _nothing_beside(text: str, sign: str) -> list[str]:
    raise UserError(
        "perturbation-name",
        found=f"the perturbation '{text}'",
        expected=f"a name, or names joined by '{sign}', such as KLF1{sign}MAP2K6",
        mend="write out every name, with one on each side of the sign",
    )
