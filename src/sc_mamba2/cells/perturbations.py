"""Perturbed cells: the names of perturbations, and what a table of them must keep.

A name is one perturbation, or several joined by "+", whose order does not matter; a dose stands behind
a "@". What is done with them stands in `tasks/perturbation`.
"""

from typing import Any

import pandas as pd

from sc_mamba2.cells.labels import check_column, label_text
from sc_mamba2.errors import UserError, nearest

JOINT = "+"
DOSE = "@"
MOST_SHOWN = 5


def parts_of(name: str) -> tuple[str, ...]:
    """Return the single perturbations of a name in alphabetical order, each once.

    Rule ``perturbation-name``: nothing stands before, between or after a "+".
    """
    parts = [part.strip() for part in str(name).split(JOINT)]
    if not all(parts):
        raise UserError(
            "perturbation-name",
            found=f"the perturbation '{name}'",
            expected=f"a name, or names joined by '{JOINT}', such as KLF1{JOINT}MAP2K6",
            mend="write every name out, and leave no sign alone",
        )
    return tuple(sorted(set(parts)))


def canonical_name(name: str) -> str:
    """Return the one name of a combination: "B+A" is "A+B"."""
    return JOINT.join(parts_of(name))


def base_and_dose(part: str) -> tuple[str, float | None]:
    """Return a single perturbation without its dose, and the dose; ``None`` where it has none."""
    base, sign, dose = part.rpartition(DOSE)
    try:
        value = float(dose) if sign and base else None
    except ValueError:
        value = None
    return (part, None) if value is None else (base, value)


def with_doses(names: pd.Series, doses: pd.Series, control: str) -> pd.Series:
    """Put doses, all in one unit, behind the names of the same cells; those of controls are not read.

    Rule ``perturbation-dose``: a perturbed cell's dose is no number above 0.
    """
    perturbed = (names != control).to_numpy()
    values = pd.to_numeric(doses.astype(object), errors="coerce").to_numpy(dtype=float)
    wrong = perturbed & ~((values > 0) & (values < float("inf")))
    if wrong.any():
        raise UserError(
            "perturbation-dose",
            found=f"{int(wrong.sum()):,} perturbed cells with a dose that is no number above 0 "
            f"(e.g. '{doses[wrong].iloc[0]}')",
            expected="a dose above 0 for every perturbed cell, all in one unit",
            mend=f"correct the column, or call cells without a dose '{control}'",
        )
    dosed = [
        f"{name}{DOSE}{value:g}" if own else name
        for name, value, own in zip(names, values, perturbed, strict=True)
    ]
    return pd.Series(dosed, index=names.index)


def read_perturbations(
    obs: pd.DataFrame, key: str, control: str, fewest_cells: int, dose_key: str | None = None
) -> tuple[pd.Series, list[dict[str, Any]]]:
    """Read the perturbation of every cell.

    Parameters
    ----------
    obs
        Table of N cells.
    key
        Its column with the perturbations.
    control
        How unperturbed cells are called there. It may stand beside a name ("KLF1+control"), where
        it is left out.
    fewest_cells
        Perturbations with fewer cells are left out, with a remark.
    dose_key
        Column with doses, which are put behind the names; ``None``: there are none.

    Returns
    -------
    perturbations
        Canonical names of the cells that are kept, `control` for unperturbed ones.
    remarks
        Dictionaries of ``rule`` and ``remark``: ``perturbation-unlabelled``, ``perturbation-small``.

    Raises
    ------
    UserError
        ``perturbation-missing``: no such column. ``perturbation-dose``: see `with_doses`.
        ``control-missing``: no control cell.
        ``perturbation-none``: nothing but controls. ``perturbation-cells``: no perturbation, or the
        control, has `fewest_cells`.
    """
    check_column(obs, key, "perturbation-missing", "--perturbation-key")
    if dose_key is not None:
        check_column(obs, dose_key, "perturbation-missing", "perturbation.keys.dose_key")
    text = label_text(obs[key]).astype(str)
    remarks: dict[str, str] = {}
    if unnamed := len(obs) - len(text):
        said = f"{unnamed:,} cells without a name in obs['{key}'] were left out"
        remarks["perturbation-unlabelled"] = said
    if dose_key is not None:
        text = with_doses(text, obs.loc[text.index, dose_key], control)
    known = {name: _without_control(name, control) for name in text.unique()}
    names = text.map(known)
    _check_control(names, key, control)
    counts = names.value_counts()
    small = sorted(name for name, count in counts.items() if count < fewest_cells)
    if control in small or len(small) == len(counts) - 1:
        raise UserError(
            "perturbation-cells",
            found=f"{counts[control]:,} control cells, and {counts.drop(control).max():,} cells of "
            f"the commonest perturbation in obs['{key}']",
            expected=f"at least {fewest_cells} of the control and of one perturbation",
            mend="add cells, put guides of one gene together, or choose another column",
        )
    if small:
        shown = ", ".join(f"'{name}' ({counts[name]})" for name in small[:MOST_SHOWN])
        more = ", …" if len(small) > MOST_SHOWN else ""
        remarks["perturbation-small"] = (
            f"{len(small):,} perturbations of fewer than {fewest_cells} cells were left out: "
            f"{shown}{more}"
        )
    listed = [{"rule": rule, "remark": remark} for rule, remark in remarks.items()]
    return names[~names.isin(small)], listed


def _without_control(name: str, control: str) -> str:
    if name == control:
        return control
    parts = [part for part in parts_of(name) if part != control]
    return JOINT.join(parts) or control


def _check_control(names: pd.Series, key: str, control: str) -> None:
    found = sorted(set(names))
    if control not in found:
        shown = ", ".join(f"'{name}'" for name in found[:MOST_SHOWN])
        likely = nearest(control, found) or nearest(control.lower(), found)
        raise UserError(
            "control-missing",
            found=f"no cell of the control '{control}' in obs['{key}'] (there are {shown}"
            + (", …)" if len(found) > MOST_SHOWN else ")"),
            expected="unperturbed cells, from which predictions start",
            mend="pass --control with their name in that column" + likely,
        )
    if len(found) == 1:
        raise UserError(
            "perturbation-none",
            found=f"obs['{key}'] holds '{control}' only",
            expected="cells of a perturbation beside the control",
            mend="choose another column with --perturbation-key, or name a trained folder with "
            "--checkpoint",
        )
