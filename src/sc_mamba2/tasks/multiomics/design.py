"""What is known of every cell beside its values: its modalities, its batch, which part it plays."""

import numpy as np
import pandas as pd

from sc_mamba2.cells import label_text, read_labels
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.tasks.multiomics.params import KeyParams
from sc_mamba2.tasks.shared.batches import BATCH, read_batches, read_known_batches

PART, LABEL = "part", "label"
TRAINING, VALIDATION, HELD_OUT = "training", "validation", "held_out"
ONE_BATCH = "all"
FEWEST_TRAINING = 20
FEWEST_SCORED = 20


def has(kind: str) -> str:
    """Return the column that says whether a cell has a modality."""
    return f"has_{kind}"


def make_design(
    obs: pd.DataFrame, present: pd.DataFrame, keys: KeyParams, seed: int
) -> pd.DataFrame:
    """Lay down the parts that cells play, and their batches.

    Cells are held out by the column that says so, or a share of each batch by chance; of the others a
    share of each batch is for validation, with and without each modality alike.

    Returns
    -------
    DataFrame
        N rows: ``batch``, ``part``, and ``has_…`` for every modality.

    Raises
    ------
    UserError
        Rules of `read_batches`; ``held-out-missing``, ``held-out-empty``, ``cells-few``.
    """
    batches = pd.Series(ONE_BATCH, index=obs.index)
    if keys.batch_key is not None:
        batches = read_batches(obs, keys.batch_key)
    design = _table(batches, present)
    generator = np.random.default_rng(seed)
    groups = design[BATCH] + design.filter(like="has_").astype(str).agg("".join, axis=1)
    if keys.held_out_key is not None:
        held_out = _named(obs, keys.held_out_key, keys.held_out_value)
    else:
        held_out = _some_of_each(groups, keys.held_out_share, generator)
    validation = np.zeros(len(design), dtype=bool)
    left = np.flatnonzero(~held_out)
    validation[left] = _some_of_each(groups.iloc[left], keys.validation_share, generator)
    design[PART] = np.select([held_out, validation], [HELD_OUT, VALIDATION], TRAINING)
    _check_enough(design)
    return design


def known_design(
    obs: pd.DataFrame, present: pd.DataFrame, batch_key: str | None, batches: tuple[str, ...]
) -> pd.DataFrame:
    """Do as `make_design` for cells that a trained model reads: none is trained on."""
    own = pd.Series(ONE_BATCH, index=obs.index)
    if batch_key is not None:
        own = read_known_batches(obs, batch_key, batches)
    design = _table(own, present)
    design[PART] = HELD_OUT
    return design


def scored_cells(design: pd.DataFrame) -> np.ndarray:
    """Return which cells are scored: those held out; where there are too few, those of validation too."""
    held_out = (design[PART] == HELD_OUT).to_numpy()
    if held_out.sum() >= FEWEST_SCORED:
        return held_out
    return held_out | (design[PART] == VALIDATION).to_numpy()


def read_truth(obs: pd.DataFrame, label_key: str | None) -> pd.DataFrame:
    """Return the column ``label`` for the cells that have one; no rows where none was asked for."""
    if label_key is None:
        return pd.DataFrame({LABEL: pd.Series(dtype=str)})
    return read_labels(obs, label_key).dropna().to_frame(LABEL)


def _table(batches: pd.Series, present: pd.DataFrame) -> pd.DataFrame:
    design = pd.DataFrame({BATCH: batches.astype(str)}, index=present.index)
    for kind in present:
        design[has(str(kind))] = present[kind].to_numpy()
    return design


def _some_of_each(groups: pd.Series, share: float, generator: np.random.Generator) -> np.ndarray:
    chosen = np.zeros(len(groups), dtype=bool)
    for _, members in sorted(groups.groupby(groups).indices.items()):
        chosen[generator.permutation(members)[: round(share * len(members))]] = True
    return chosen


def _named(obs: pd.DataFrame, key: str, value: str) -> np.ndarray:
    if key not in obs:
        raise UserError(
            "held-out-missing",
            found=f"no column '{key}' in obs",
            expected=f"one of: {', '.join(map(str, obs.columns)) or 'obs has no columns'}",
            mend="name a column that says which cells are held out" + nearest(key, obs.columns),
        )
    text = label_text(obs[key]).reindex(obs.index)
    chosen = (text == value).to_numpy()
    if not chosen.any() or chosen.all():
        raise UserError(
            "held-out-empty",
            found=f"'{value}' in {int(chosen.sum()):,} of {len(obs):,} cells of obs['{key}']",
            expected="some cells held out, and some to train on",
            mend=f"name one of its values: {', '.join(sorted(text.dropna().unique())[:5])}",
        )
    return chosen


def _check_enough(design: pd.DataFrame) -> None:
    training = design[design[PART] == TRAINING]
    for column in design.filter(like="has_"):
        if training[column].sum() < FEWEST_TRAINING or not (design[PART] == VALIDATION).any():
            raise UserError(
                "cells-few",
                found=f"{int(training[column].sum()):,} training cells with {column[4:]}",
                expected=f"at least {FEWEST_TRAINING} of each modality, and cells for validation",
                mend="add cells, or hold fewer out (multiomics.keys.held_out_share)",
            )
