"""Which cells train, choose the epoch and are tested: fixed by the seed, stratified, disjoint."""

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.model_selection import train_test_split

from sc_mamba2.cells import keys, known_labels, read_labels
from sc_mamba2.cells.labels import whole_column
from sc_mamba2.cells.shared_cells import shared_cells
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.annotation.annotator import BATCH, LABEL, TERM_IDS
from sc_mamba2.tasks.annotation.params import LabelParams
from sc_mamba2.training import ComputeOptions

_BATCH_COLUMNS = ("study", "dataset", "batch", "donor", "sample")
SHARED = "shared_cells"
_MOST_BATCHES = 200  # more are rather names of cells


def hold_out(
    reference_cells: AnnData, params: LabelParams, compute: ComputeOptions
) -> tuple[AnnData, AnnData, pd.DataFrame]:
    """Split a labelled reference into training cells and query cells; the query's labels stand apart.

    Returns
    -------
    training_cells, query_cells, truth
        Of the query nothing is kept in `obs`; the truth is a table with the column ``label``.
    """
    cells = labelled(reference_cells, params)
    first, second = stratified_split(cells.obs[LABEL].to_numpy(), params.test_share, compute.seed)
    query = cells[second].copy()
    truth = query.obs[[LABEL]].copy()
    query.obs = query.obs[[]]
    return cells[first].copy(), query, truth


def take_query(
    reference_cells: AnnData, query_cells: AnnData, params: LabelParams
) -> tuple[AnnData, AnnData, pd.DataFrame]:
    """Do as `hold_out` with a query of its own; its labels are the truth, where it has any.

    Cells of the reference that are in the query too are no truth; how many there are is
    ``truth.attrs["shared_cells"]``.
    """
    shared = shared_cells(reference_cells, query_cells)
    truth = query_truth(query_cells, params.key, params)
    truth = truth[~truth.index.isin(shared)]
    truth.attrs[SHARED] = len(shared)
    query = query_cells.copy()
    query.obs = query.obs[[]]
    return labelled(reference_cells, params), query, truth


def query_truth(query_cells: AnnData, reference_key: str, params: LabelParams) -> pd.DataFrame:
    """Return a query's own labels as the column ``label``: under `params.query_key`, or the reference's key.

    Without the reference's key there are no rows.

    Raises
    ------
    UserError
        `params.query_key` is named and not there.
    """
    key = params.query_key or reference_key
    if key in query_cells.obs:
        return known_labels(query_cells.obs[key], params.keep_absence_words).to_frame(LABEL)
    if params.query_key is not None:
        read_labels(query_cells.obs, key)  # refuses, with the nearest column
    return pd.DataFrame({LABEL: pd.Series(dtype=str)})


def labelled(cells: AnnData, params: LabelParams) -> AnnData:
    """Return the cells that have a label, with it in ``obs["label"]``.

    Where batches are known they are ``obs["batch"]``, and the name of their column ``uns["batch"]``; ids of
    the labels in the Cell Ontology are ``uns["term_ids"]``. No other column is kept.
    """
    labels = read_labels(cells.obs, params.key, params.keep_absence_words)
    kept = labels.notna().to_numpy()
    chosen = cells[kept].copy()
    obs = pd.DataFrame({LABEL: labels[kept].astype(str)}, index=chosen.obs.index)
    key = params.batch_key or named_batches(chosen.obs, params.key)
    if key is not None:
        obs[BATCH] = whole_column(chosen.obs, key, "batch").to_numpy(str)
        chosen.uns[BATCH] = key
    chosen.uns[TERM_IDS] = _term_ids(chosen.obs, obs[LABEL])
    chosen.obs = obs
    return chosen


def _term_ids(obs: pd.DataFrame, labels: pd.Series) -> dict[str, str]:
    """Return the id of every label whose cells all have the same one, where the file gives any."""
    if keys.ONTOLOGY_IDS not in obs:
        return {}
    ids = obs[keys.ONTOLOGY_IDS].astype(str).groupby(labels, observed=True)
    return {str(label): str(own.iloc[0]) for label, own in ids if own.nunique() == 1}


def named_batches(obs: pd.DataFrame, label_key: str) -> str | None:
    """Return the first column by the name of a batch that has several, and a value for every cell."""
    for name in _BATCH_COLUMNS:
        there = name != label_key and name in obs and obs[name].notna().all()
        if there and 1 < obs[name].nunique() <= _MOST_BATCHES:
            return name
    return None


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
            mend="add cells, merge rare types, or give the query as a separate file",
        )
    first, second = train_test_split(
        several, test_size=size, random_state=seed, stratify=labels[several]
    )
    return np.sort(np.concatenate([first, np.flatnonzero(lone)])), np.sort(second)
