"""The split into training and held-out cells, stored with the run and checked for leaks.

Parts are ``train``, ``test`` and ``unused``. Perturbed cells of ``test`` are scored against control cells
of ``test``; predictions start from control cells of ``train``.
"""

from collections.abc import Collection, Iterable

import numpy as np
import pandas as pd

from sc_mamba2.cells import parts_of
from sc_mamba2.cells.labels import check_column
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.tasks.perturbation.params import SplitKind, SplitParams

PERTURBATION, CONTEXT, PART = "perturbation", "context", "part"
WHOLE = "whole_names"
TRAIN, TEST, UNUSED = "train", "test", "unused"


def split_cells(
    table: pd.DataFrame,
    control: str,
    given: pd.Series | None,
    params: SplitParams,
    seed: int,
    whole: Collection[str] = (),
) -> pd.Series:
    """Assign every cell a part.

    Parameters
    ----------
    table
        Columns ``perturbation`` and ``context`` of N cells.
    control
        Name of unperturbed cells.
    given
        The user's parts, ``train`` or ``test``; ``None``: drawn at random.
    params
        Kind, names, shares.
    seed
        Seed of the draws.
    whole
        See `parts_of`.

    Returns
    -------
    Series
        ``train``, ``test`` or ``unused`` (above `most_cells`), in the order of `table`.

    Raises
    ------
    UserError
        ``split-name``, ``split-impossible``, ``split-column``, ``split-leak``.
    """
    generator = np.random.default_rng(seed)
    perturbed = (table[PERTURBATION] != control).to_numpy()
    if given is not None:
        held_out = _given_parts(given, params.key) & perturbed
    else:
        held_out = perturbed & _draw(table, perturbed, params, generator, whole)
    if not held_out.any() or not (perturbed & ~held_out).any():
        raise _impossible(params, "no perturbed cell is left on one side")
    part = np.where(held_out, TEST, TRAIN).astype(object)
    part[_reference_controls(table, perturbed, params.control_share, generator)] = TEST
    if params.most_cells is not None:
        training = table[perturbed & ~held_out]
        for rows in training.groupby(PERTURBATION, observed=True).indices.values():
            extra = generator.permutation(rows)[params.most_cells :]
            part[np.flatnonzero(perturbed & ~held_out)[extra]] = UNUSED
    parts = pd.Series(part, index=table.index, name=PART)
    check_leak(table, parts, control, params.kind)
    return parts


def given_parts(obs: pd.DataFrame, key: str) -> pd.Series:
    """Return the user's column of parts.

    Raises
    ------
    UserError
        Rule ``split-column``.
    """
    check_column(obs, key, "split-column", "perturbation.split.key")
    return obs[key]


def join_names(names: Iterable[str], most: int = 10) -> str:
    """Join the first names for an error message."""
    listed = list(names)
    return ", ".join(listed[:most]) + (", …" if len(listed) > most else "")


def check_leak(table: pd.DataFrame, parts: pd.Series, control: str, kind: SplitKind) -> None:
    """Raise if a held-out perturbation (or context) also has training cells.

    Raises
    ------
    UserError
        Rule ``split-leak``.
    """
    column = {"unseen_context": CONTEXT}.get(kind, PERTURBATION)
    perturbed = table[table[PERTURBATION] != control]
    both = parts.loc[perturbed.index]
    seen, held = (set(perturbed[column][both == part]) for part in (TRAIN, TEST))
    if kind != "random_cells" and seen & held:
        both_sides = ", ".join(f"'{name}'" for name in sorted(seen & held)[:5])
        raise UserError(
            "split-leak",
            found=f"held-out cells and training cells of the same {column}: {both_sides}",
            expected=f"each {column} only in training or only held out, for the split '{kind}'",
            mend="correct the column of the split, or choose perturbation.split.kind=random_cells",
        )


def draw_validation(rows: pd.DataFrame, kind: SplitKind, share: float, seed: int) -> np.ndarray:
    """Draw the validation effects in the way the split holds out cells, (Q,) bool.

    Parameters
    ----------
    rows
        Training effects: ``perturbation`` and ``context``.
    kind
        Kind of split; whole perturbations are drawn unless contexts are held out.
    share
        Share of the names to draw; at least one stays on each side. None is drawn from fewer than two.
    seed
        Seed of the draw.
    """
    column = rows[CONTEXT] if kind == "unseen_context" else rows[PERTURBATION]
    names = sorted(set(column))
    if len(names) < 2:
        return np.zeros(len(rows), dtype=bool)
    count = min(len(names) - 1, max(1, round(share * len(names))))
    drawn = np.random.default_rng(seed).permutation(names)[:count]
    return column.isin(drawn).to_numpy()


def _draw(
    table: pd.DataFrame,
    perturbed: np.ndarray,
    params: SplitParams,
    generator: np.random.Generator,
    whole: Collection[str],
) -> np.ndarray:
    if params.kind == "random_cells":
        return generator.random(len(table)) < params.test_share
    column = table[CONTEXT if params.kind == "unseen_context" else PERTURBATION]
    names = sorted(set(column[perturbed]))
    if params.kind == "unseen_combination":
        names = [name for name in names if len(parts_of(name, whole)) > 1]
    if params.held_out:
        _check_names(params.held_out, names)
        return column.isin(params.held_out).to_numpy()
    if not names:
        raise _impossible(params, "no combination of perturbations, written A+B, is in the file")
    every = len(set(column[perturbed]))
    if every < 2:
        raise _impossible(params, f"there is only one {column.name}, '{names[0]}'")
    count = min(every - 1, max(1, round(params.test_share * len(names))))
    return column.isin(generator.permutation(names)[:count]).to_numpy()


def _reference_controls(
    table: pd.DataFrame, perturbed: np.ndarray, share: float, generator: np.random.Generator
) -> np.ndarray:
    """Draw the control cells for scoring, from every context with at least two."""
    control = table[~perturbed]
    places = np.flatnonzero(~perturbed)
    drawn = []
    for rows in control.groupby(CONTEXT, observed=True).indices.values():
        count = min(len(rows) - 1, max(1, round(share * len(rows))))
        drawn.append(places[generator.permutation(rows)[:count]])
    return np.concatenate(drawn)


def _given_parts(given: pd.Series, key: str | None) -> np.ndarray:
    others = sorted(set(given.astype(str)) - {TRAIN, TEST})
    if others:
        raise UserError(
            "split-column",
            found=f"obs['{key}'] holds '{others[0]}'",
            expected=f"'{TRAIN}' or '{TEST}' for every cell",
            mend="correct the column, or omit perturbation.split.key",
        )
    return (given.astype(str) == TEST).to_numpy()


def _check_names(held_out: tuple[str, ...], names: list[str]) -> None:
    for name in held_out:
        if name not in names:
            raise UserError(
                "split-name",
                found=f"'{name}' is to be held out, but no perturbed cell has it",
                expected=f"one of: {join_names(names)}",
                mend="correct perturbation.split.held_out" + nearest(name, names),
            )


def _impossible(params: SplitParams, why: str) -> UserError:
    return UserError(
        "split-impossible",
        found=f"nothing can be held out as '{params.kind}': {why}",
        expected="perturbed cells to train on, and others to score on",
        mend="choose another perturbation.split.kind (random_cells holds out cells), or name the "
        "contexts with --context-key",
    )
