"""The batch column: checks, codes, sampling, and confounding with labels.

Shared by the tasks that correct batches. A batch code is an index into the model's list of names.
"""

import numpy as np
import pandas as pd

from sc_mamba2.cells.labels import full_column
from sc_mamba2.errors import UserError

BATCH = "batch"
MIN_CELLS = 10  # statistics of fewer cells are noise
MAX_SHOWN = 5


def read_batches(obs: pd.DataFrame, key: str) -> pd.Series:
    """Return the batch of every cell as text.

    Raises
    ------
    UserError
        The column is absent, a cell has no batch, there is only one batch, or a batch is too small.
    """
    batches = full_column(obs, key, "batch")
    sizes = batches.value_counts()
    if len(sizes) == 1:
        raise UserError(
            "batch-one",
            found=f"obs['{key}'] has only one batch: '{sizes.index[0]}'",
            expected="at least two batches: with one there is nothing to correct",
            mend="choose another column with --batch-key; without batches, `scm embed` gives an embedding",
        )
    small = sizes[sizes < MIN_CELLS]
    if len(small):
        shown = ", ".join(f"'{name}' ({count})" for name, count in small[:MAX_SHOWN].items())
        raise UserError(
            "batch-small",
            found=f"{len(small):,} batches with fewer than {MIN_CELLS} cells: {shown}",
            expected=f"at least {MIN_CELLS} cells in every batch",
            mend="remove those cells, pool small batches, or choose a coarser column",
        )
    return batches


def read_known_batches(obs: pd.DataFrame, key: str, known: tuple[str, ...]) -> pd.Series:
    """Return the batch of every cell as text; all must be known to the model.

    Raises
    ------
    UserError
        The column is absent, a cell has no batch, or a batch is unknown to the model.
    """
    batches = full_column(obs, key, "batch")
    unknown = sorted(set(batches) - set(known))
    if unknown:
        shown = ", ".join(f"'{name}'" for name in unknown[:MAX_SHOWN])
        raise UserError(
            "batch-unknown",
            found=f"{len(unknown):,} batches that the checkpoint was not trained with: {shown}",
            expected=f"cells of its batches: {', '.join(known[:MAX_SHOWN])}"
            + (", …" if len(known) > MAX_SHOWN else ""),
            mend="train again with all batches together (omit --checkpoint)",
        )
    return batches


def batch_codes(batches: pd.Series, names: tuple[str, ...]) -> np.ndarray:
    """Return the indices of batches in a list of names, (N,) int64."""
    codes = pd.Categorical(batches, categories=list(names)).codes
    assert (codes >= 0).all(), "every batch was checked to be a known one"
    return codes.astype(np.int64)


def sample_each(
    groups: pd.Series, share: float, generator: np.random.Generator, fewest: int = 0
) -> np.ndarray:
    """Sample a share of the cells of every group, at least `fewest` of each; (N,) bool."""
    chosen = np.zeros(len(groups), dtype=bool)
    for _, members in sorted(groups.groupby(groups, observed=True).indices.items()):
        chosen[generator.permutation(members)[: max(fewest, round(share * len(members)))]] = True
    return chosen


def confounded_labels(batches: pd.Series, labels: pd.Series) -> list[str]:
    """Return the labels that occur in one batch only, sorted; cells without a label may be missing."""
    counts = pd.crosstab(labels, batches.loc[labels.index])
    return sorted(counts.index[(counts > 0).sum(axis=1) == 1])
