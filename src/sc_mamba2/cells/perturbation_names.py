"""Parse perturbation names, by the same rules for files and requests.

A name is one perturbation or several joined by a sign, with or without doses. Guides of one gene are one
target, and negative controls have many spellings. In a canonical name the parts are in alphabetical order,
joined by "+", each with its dose after an "@".
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
# Words for negative controls, in lower case without blanks and signs; those on one line are synonyms.
_CONTROLS = (
    "control controls ctrl unperturbed neg negctrl negcontrol negativecontrol negativectrl nt ntc ntctrl "
    "ntcontrol nontarget nontargeting nontargetingcontrol nontargetingctrl nontargetingguide "
    "nontargetinghuman scramble scrambled safetarget safetargeting safeharbor notarget nosite intergenic "
    "oneintergenicsite nongenesite onenongenesite",
    "dmso dmsocontrol vehicle vehiclecontrol vehiclectrl solvent solventcontrol pbs mock",
    "untreated untreatedcontrol unstimulated unstim nostim notreatment",
)
_FAMILY = {word: at for at, line in enumerate(_CONTROLS) for word in line.split()}
_CONTROL_AFFIXES = re.compile(r"^(?:sgrna|grna|sg)|(?:sgrna|grna|guide|rep|sg|g)$")
_GUIDE = "(?:sg|sgRNA|sgrna|g|gRNA|grna|guide|sh|shRNA|rep)"
_AIMED = "(?:sgRNA|gRNA|shRNA|p_sg|sg|sh)[-_ ]?"
# Patterns for the target in a guide's name, the clearest first; the last two need a current symbol.
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
    """How to read perturbation names.

    Attributes
    ----------
    control
        Name of unperturbed cells.
    genes
        Whether names may be genes and guides of genes, not compounds.
    join_guides
        Whether the guides of one target are one perturbation.
    joined_by
        Sign that always separates names, "" for none; ``None``: any of `SIGNS`, or underscores, if every
        part is a name in the file, a gene, or the control.
    """

    control: str
    genes: bool = True
    join_guides: bool = True
    joined_by: str | None = None


@dataclass(frozen=True)
class PerturbationNames:
    """The known names; made by `learn_names`.

    Attributes
    ----------
    singles
        Names of single perturbations, as spelled in the file.
    whole
        Names with a "+" that are one perturbation.
    controls
        Spellings of the control.
    of_gene
        Name used for each gene, by Ensembl id.
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
            ``perturbation-name``: an empty part beside a joining sign. ``perturbation-dose``: a dose of 0.
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
        """Split a combination into its parts; any other name is returned as the only piece."""
        sign = self.rules.joined_by
        if sign is not None:
            found = [piece.strip() for piece in text.split(sign)] if sign else [text]
            return found if all(found) else _empty_part(text, sign)
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
                    return _empty_part(text, sign)
        found = [piece for piece in text.split("_") if piece]
        return found if len(found) > 1 and all(map(self.knows, found)) else [text]

    def is_control(self, text: str) -> bool:
        """Whether a name means the control."""
        return text in self.controls or text == self.rules.control or is_same_kind(text, self.rules)

    def knows(self, piece: str) -> bool:
        """Whether a piece is a name in its own right: in the file, of a gene or guide, or of the control."""
        base = base_and_dose(piece)[0]
        return bool(base) and (base in self.singles or self.is_control(base) or self._is_one(base))

    def _is_one(self, text: str) -> bool:
        """Whether a name is that of a gene or a guide."""
        return self.rules.genes and bool(gene_of(text) or self.target(text))

    def target(self, text: str) -> str | None:
        """Return the target of a guide, ``None`` if the name is not a guide's."""
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
    """Learn from all names in a file or a model which are single, whole, guides or the control.

    Raises
    ------
    UserError
        See `PerturbationNames.resolve`.
    """
    listed = sorted({label.strip() for label in labels})
    controls = frozenset(control_spellings(listed, rules))
    names = PerturbationNames(rules, controls=controls)
    plain = {label for label in listed if not any(sign in label for sign in SIGNS)}
    for label in listed:  # "A+ctrl" shows that A is a name
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
    """Return the name used for each gene: its only spelling, or the current symbol if there are several."""
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
    """Return the single perturbations of a canonical name, unique and in alphabetical order.

    `whole` holds names with a "+" that are one perturbation.
    """
    if base_and_dose(name)[0] in whole:
        return (name,)
    found = _joined(name, JOINT, whole)
    return tuple(sorted(set(found))) if all(found) else (name,)


def base_and_dose(part: str) -> tuple[str, float | None]:
    """Split a single perturbation into its name and its dose, ``None`` without one.

    A dose is a number after the last "@": "GSK @ site" has none.
    """
    base, sign, dose = part.rpartition(DOSE)
    if not sign or not base.strip() or not _NUMBER.fullmatch(dose):
        return part, None
    return base.strip(), float(dose)


def with_dose(base: str, dose: float) -> str:
    """Append a dose to a single perturbation, as "1e5", not "1e+5", since "+" would join."""
    return f"{base}{DOSE}{dose:.12g}".replace("e+", "e")


def control_spellings(labels: Iterable[str], rules: NameRules) -> set[str]:
    """Return which of the names mean the control.

    These are its own name, its guides ("NT_00012") and its synonyms ("non-targeting" for "control"). If there
    are none, words for another kind of control ("DMSO") count, provided they are all of one kind.
    """
    listed = list(labels)
    own = {label for label in listed if label == rules.control or is_same_kind(label, rules)}
    if rules.genes:
        own |= {
            label
            for label in listed
            if rules.control in (target for target, _ in guide_targets(label))
        }
    if own or control_kind(rules.control) is None:
        return own
    others = {label: control_kind(label) for label in listed if control_kind(label) is not None}
    return set(others) if len(set(others.values())) == 1 else set()


def is_same_kind(text: str, rules: NameRules) -> bool:
    """Whether a name is a word for the same kind of control as the control's own name."""
    kind = control_kind(text)
    return kind is not None and kind == control_kind(rules.control)


@lru_cache(maxsize=65536)
def control_kind(text: str) -> int | None:
    """Return the kind of control that a name is a word for, with or without a number, or ``None``."""
    folded = re.sub(r"[\s_\-./]+", "", text.lower())
    if folded in _FAMILY or gene_of(text, today=True):
        return _FAMILY.get(folded)
    stem = folded.rstrip("0123456789")
    return _FAMILY.get(stem, _FAMILY.get(_CONTROL_AFFIXES.sub("", stem)))


def guide_targets(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the possible targets of a guide's name, likeliest first, and whether the pattern is a loose one."""
    for place, pattern in enumerate(_GUIDES):
        if match := pattern.fullmatch(text):
            yield match[1], place >= len(_GUIDES) - _LOOSE


@lru_cache(maxsize=65536)
def gene_of(name: str, *, today: bool = False, sure: bool = True) -> str:
    """Return the Ensembl id of a gene's name, "" if it is not a gene.

    With `today`, older symbols do not count; without `sure`, ambiguous and retired names give "?".
    """
    found = map_genes([name], load_gene_table())
    status = found.status[0]
    if status in ("unknown_id", "unknown_symbol"):
        return ""
    if status in ("ambiguous", "retired"):
        return "" if sure else "?"
    return "" if today and status == "alias_symbol" else str(found.ensembl_ids[0])


def target_gene(name: str) -> str:
    """Return the Ensembl id of the gene targeted by a single perturbation or a guide, or ""."""
    base = base_and_dose(name)[0]
    if found := gene_of(base, sure=False):
        return found.removeprefix("?")
    targets = (gene_of(target, today=loose) for target, loose in guide_targets(base))
    return next(filter(None, targets), "")


def symbol_of(ident: str) -> str:
    """Return the current symbol of a gene, or its id if it has none."""
    table = load_gene_table()
    return str(table.symbols[table.row_of_id[ident]]) or ident


def _joined(text: str, sign: str, whole: Collection[str]) -> list[str]:
    """Split at a sign outside brackets, keeping the names in `whole` together."""
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


def _empty_part(text: str, sign: str) -> list[str]:
    raise UserError(
        "perturbation-name",
        found=f"the perturbation '{text}'",
        expected=f"a name, or names joined by '{sign}', such as KLF1{sign}MAP2K6",
        mend="write out every name, with one on each side of the sign",
    )
