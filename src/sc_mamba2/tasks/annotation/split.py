"""Who is trained on, who chooses the epoch, who is tested: fixed by the seed, stratified, disjoint."""

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.model_selection import train_test_split

from sc_mamba2.cells import read_labels
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.annotation.model import LABEL


def labelled(cells: AnnData, key: str) -> AnnData:
    """Return the cells that have a label, with it in ``obs["label"]`` and no other column."""
    labels = read_labels(cells.obs, key)
    kept = labels.notna().to_numpy()
    chosen = cells[kept].copy()
    chosen.obs = pd.DataFrame({LABEL: labels[kept].astype(str)}, index=chosen.obs.index)
    return chosen


def stratified_split(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split positions in two, class by class.

    Parameters
    ----------
    labels
        (N,) class names.
    share
        Share of the second part, 0 to 1.
    seed
        Seed of the choice.

    Returns
    -------
    first, second
        Sorted positions. A class of one cell goes to the first part whole.

    Raises
    ------
    UserError
        Too few cells to split.
    """
    names, counts = np.unique(labels, return_counts=True)
    lone = np.isin(labels, names[counts < 2])
    several = np.flatnonzero(~lone)
    classes = len(names) - int((counts < 2).sum())
    size = max(round(share * len(several)), classes)
    if classes < 2 or len(several) - size < classes:
        raise UserError(
            "split-impossible",
            found=f"{len(labels):,} labelled cells in {len(names):,} classes",
            expected="at least two classes of two cells or more, and more cells than twice the classes",
            mend="add cells, merge rare types, or give the query in a file of its own",
        )
    first, second = train_test_split(
        several, test_size=size, random_state=seed, stratify=labels[several]
    )
    return np.sort(np.concatenate([first, np.flatnonzero(lone)])), np.sort(second)
