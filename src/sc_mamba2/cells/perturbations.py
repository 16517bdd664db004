"""The perturbation of every cell, and what a table of perturbed cells must satisfy.

`perturbation_names` parses the names, `tasks/perturbation` uses them.
"""

from typing import Any

import pandas as pd

from sc_mamba2.cells.labels import ABSENCE, check_column, is_one_of, label_text
from sc_mamba2.cells.perturbation_names import (
    JOINT,
    NameRules,
    PerturbationNames,
    base_and_dose,
    control_kind,
    learn_names,
    parts_of,
    with_dose,
)
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.genes import is_spreadsheet_date

MAX_SHOWN = 5
# What guide callers write where they found no guide, or several.
_PLACEHOLDERS = (ABSENCE - {"unk"}) | {  # UNK is a gene
    "negative",
    "multiple",
    "ambiguous",
    "multiple guides",
    "no guide",
    "no grna",
    "no sgrna",
    "no perturbation called",
}


def with_doses(names: pd.Series, doses: pd.Series, known: PerturbationNames) -> pd.Series:
    """Append doses, all in one unit, to all parts of the cells' names, except the control's.

    Rule ``perturbation-dose``: a perturbed cell's dose is not a number above 0.
    """
    control = known.rules.control
    perturbed = (names != control).to_numpy()
    values = pd.to_numeric(doses.astype(object), errors="coerce").to_numpy(dtype=float)
    wrong = perturbed & ~((values > 0) & (values < float("inf")))
    if wrong.any():
        raise UserError(
            "perturbation-dose",
            found=f"{int(wrong.sum()):,} perturbed cells with a dose that is not a number above 0 "
            f"(e.g. '{doses[wrong].iloc[0]}')",
            expected="a dose above 0 for every perturbed cell, all in one unit",
            mend=f"correct the column, or call cells without a dose '{control}'",
        )
    dosed = [
        JOINT.join(with_dose(part, value) for part in parts_of(name, known.whole)) if own else name
        for name, value, own in zip(names, values, perturbed, strict=True)
    ]
    return pd.Series(dosed, index=names.index)


def read_perturbations(
    obs: pd.DataFrame, key: str, rules: NameRules, fewest_cells: int, dose_key: str | None = None
) -> tuple[pd.Series, PerturbationNames, list[dict[str, Any]]]:
    """Read the perturbation of every cell.

    Parameters
    ----------
    obs
        Table of N cells.
    key
        Column with the perturbations.
    rules
        How to read names. The control is dropped from combinations ("KLF1+control").
    fewest_cells
        Perturbations with fewer cells are dropped, with a remark.
    dose_key
        Column with doses, appended to the names; ``None``: there are none.

    Returns
    -------
    perturbations
        Canonical names of the kept cells; unperturbed ones have the control's.
    known
        What the column's names mean.
    remarks
        Dictionaries of ``rule`` and ``remark``: ``perturbation-unlabelled``, ``perturbation-small``, and
        those of `reading_remarks`.

    Raises
    ------
    UserError
        ``perturbation-missing``: no such column. ``perturbation-name``, ``perturbation-dose``: see
        `PerturbationNames.resolve` and `with_doses`.
        ``control-missing``: no control cell.
        ``perturbation-none``: only controls. ``perturbation-cells``: the control, or every perturbation,
        has fewer than `fewest_cells`.
    """
    check_column(obs, key, "perturbation-missing", "--perturbation-key")
    if dose_key is not None:
        check_column(obs, dose_key, "perturbation-missing", "perturbation.keys.dose_key")
    text = label_text(obs[key]).astype(str)
    remarks: dict[str, str] = {}
    named_control = text.str.lower() == rules.control.lower()
    is_missing = is_one_of(text, _PLACEHOLDERS) & ~named_control
    unassigned, text = text[is_missing], text[~is_missing]
    if unnamed := len(obs) - len(text):
        words = ", ".join(
            f"'{word}' ({count:,})" for word, count in unassigned.value_counts().items()
        )
        remark = f"{unnamed:,} cells without a name in obs['{key}'] were left out"
        remarks["perturbation-unlabelled"] = remark + (f", among them {words}" if words else "")
    known = learn_names(text.unique(), rules)
    meaning = {label: known.resolve(label) for label in text.unique()}
    remarks |= reading_remarks(meaning, known)
    names, control = text.map(meaning), rules.control
    _check_control({*text, *unassigned}, names, key, control)
    if dose_key is not None:
        names = with_doses(names, obs.loc[text.index, dose_key], known)
    counts = names.value_counts()
    small = sorted(name for name, count in counts.items() if count < fewest_cells)
    if control in small or len(small) == len(counts) - 1:
        raise UserError(
            "perturbation-cells",
            found=f"{counts[control]:,} control cells, and {counts.drop(control).max():,} cells of "
            f"the most common perturbation in obs['{key}']",
            expected=f"at least {fewest_cells} of the control and of one perturbation",
            mend="add cells, pool the guides of a gene, or choose another column",
        )
    if small:
        shown = ", ".join(f"'{name}' ({counts[name]})" for name in small[:MAX_SHOWN])
        more = ", …" if len(small) > MAX_SHOWN else ""
        remarks["perturbation-small"] = (
            f"{len(small):,} perturbations of fewer than {fewest_cells} cells were left out: "
            f"{shown}{more}"
        )
    listed = [{"rule": rule, "remark": remark} for rule, remark in remarks.items()]
    return names[~names.isin(small)], known, listed


def reading_remarks(meaning: dict[str, str], known: PerturbationNames) -> dict[str, str]:
    """Return remarks by rule on names that were not read literally.

    Rules: ``control-spelled``, ``control-likely``, ``perturbation-guides``, ``perturbation-joined``,
    ``perturbation-whole``, ``perturbation-genes``, ``perturbation-alike``, ``perturbation-dates``. `meaning`
    maps every label to its canonical name.
    """
    control = known.rules.control
    found: dict[str, dict[str, str]] = {
        "control": {},
        "likely": {},
        "guides": {},
        "joined": {},
        "whole": {},
        "genes": {},
    }
    names = pd.Series(sorted(set(meaning.values()) - {control}), dtype=str)
    found["alike"] = {name: name for name in names[names.str.lower().duplicated(keep=False)]}
    found["dates"] = {name: name for name in names if is_spreadsheet_date(name)}
    for label, name in sorted(meaning.items()):
        pieces = known.pieces(label)
        if name == control:
            kind = "control" if label != control else ""
        elif control_kind(label) is not None:
            kind = "likely"
        elif len(pieces) > 1:
            kind = "joined" if JOINT not in label else ""
        elif name in known.whole and len(parts_of(name, ())) > 1:
            kind = "whole"
        else:
            base, own = base_and_dose(label)[0], base_and_dose(name)[0]
            kind = "" if base == own else "guides" if known.target(base) else "genes"
        if kind:
            found[kind][label] = name
    groups = {
        "control-spelled": (found["control"], "names were read as the control", ""),
        "control-likely": (
            found["likely"],
            "names may be controls, but were read as perturbations",
            f"; name these cells '{control}' to add them to the controls",
        ),
        "perturbation-guides": (
            found["guides"],
            f"guides were pooled into {len(set(found['guides'].values())):,} targets",
            "; perturbation.keys.join_guides=false keeps them separate",
        ),
        "perturbation-joined": (
            found["joined"],
            "names were read as several perturbations each",
            "; perturbation.keys.joined_by='+' splits only at that sign",
        ),
        "perturbation-whole": (
            found["whole"],
            "names with a '+' were read as one perturbation each, since not every part is a name of the file "
            "or a gene",
            "; perturbation.keys.joined_by='+' splits them",
        ),
        "perturbation-genes": (
            found["genes"],
            "names were replaced by the current symbol of their gene",
            "",
        ),
        "perturbation-alike": (
            found["alike"],
            "names differ only in case and are treated as separate perturbations",
            "",
        ),
        "perturbation-dates": (
            found["dates"],
            "names are gene names that a spreadsheet converted to dates",
            "",
        ),
    }
    return {
        rule: f"{len(labels):,} {words} ({_shown(labels)}){mend}"
        for rule, (labels, words, mend) in groups.items()
        if labels
    }


def _shown(labels: dict[str, str]) -> str:
    listed = [
        f"'{label}'" if label == name else f"'{label}' as '{name}'"
        for label, name in labels.items()
    ]
    return ", ".join(listed[:MAX_SHOWN]) + (", …" if len(listed) > MAX_SHOWN else "")


def _check_control(words: set[str], names: pd.Series, key: str, control: str) -> None:
    found = sorted(set(names))
    if control not in found:
        labels = sorted(words)
        likely = [label for label in labels if control_kind(label) is not None]
        shown = ", ".join(f"'{name}'" for name in (likely or labels)[:MAX_SHOWN])
        raise UserError(
            "control-missing",
            found=f"no cells of the control '{control}' in obs['{key}'] (found: {shown}"
            + (", …)" if len(labels) > MAX_SHOWN else ")"),
            expected="unperturbed cells, from which predictions start",
            mend="set --control to their name in that column" + nearest(control, labels),
        )
    if len(found) == 1:
        raise UserError(
            "perturbation-none",
            found=f"obs['{key}'] holds only '{control}'",
            expected="perturbed cells as well as the control",
            mend="choose another column with --perturbation-key, or give a trained folder with "
            "--checkpoint",
        )
