"""Splits into training, validation and query cells: seeded, stratified, disjoint."""

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.model_selection import train_test_split

from sc_mamba2.cells import keys, known_labels, read_labels
from sc_mamba2.cells.labels import full_column
from sc_mamba2.cells.shared_cells import shared_cells
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.annotation.annotator import BATCH, LABEL, TERM_IDS
from sc_mamba2.tasks.annotation.params import LabelParams
from sc_mamba2.training import ComputeOptions

_BATCH_COLUMNS = ("study", "dataset", "batch", "donor", "sample")
SHARED = "shared_cells"
_MAX_BATCHES = 200  # a column with more is rather one of cell names


def hold_out(
    reference_cells: AnnData, params: LabelParams, compute: ComputeOptions
) -> tuple[AnnData, AnnData, pd.DataFrame]:
    """Split a labelled reference into training cells, and query cells with their labels apart.

    Returns
    -------
    training_cells, query_cells, truth
        The query's `obs` has no columns; `truth` has the column ``label``.
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
    """Return the same as `hold_out` for a separate query; the truth is its labels, if any.

    Query cells that are also in the reference are left out of the truth; ``truth.attrs["shared_cells"]`` is
    their number.
    """
    shared = shared_cells(reference_cells, query_cells)
    truth = query_truth(query_cells, params.key, params)
    truth = truth[~truth.index.isin(shared)]
    truth.attrs[SHARED] = len(shared)
    query = query_cells.copy()
    query.obs = query.obs[[]]
    return labelled(reference_cells, params), query, truth


def query_truth(query_cells: AnnData, reference_key: str, params: LabelParams) -> pd.DataFrame:
    """Return a query's own labels as the column ``label``, from `params.query_key` or the reference's key.

    The table is empty if the query lacks the reference's key.

    Raises
    ------
    UserError
        `params.query_key` is missing in the query.
    """
    key = params.query_key or reference_key
    if key in query_cells.obs:
        return known_labels(query_cells.obs[key], params.keep_absence_words).to_frame(LABEL)
    if params.query_key is not None:
        read_labels(query_cells.obs, key)  # raises, naming the nearest column
    return pd.DataFrame({LABEL: pd.Series(dtype=str)})


def labelled(cells: AnnData, params: LabelParams) -> AnnData:
    """Return the labelled cells, with the labels in ``obs["label"]``.

    Batches, if known, are in ``obs["batch"]``, and the name of their column in ``uns["batch"]``; Cell Ontology
    ids of the labels are in ``uns["term_ids"]``. No other column is kept.
    """
    labels = read_labels(cells.obs, params.key, params.keep_absence_words)
    kept = labels.notna().to_numpy()
    chosen = cells[kept].copy()
    obs = pd.DataFrame({LABEL: labels[kept].astype(str)}, index=chosen.obs.index)
    key = params.batch_key or named_batches(chosen.obs, params.key)
    if key is not None:
        obs[BATCH] = full_column(chosen.obs, key, "batch").to_numpy(str)
        chosen.uns[BATCH] = key
    chosen.uns[TERM_IDS] = _term_ids(chosen.obs, obs[LABEL])
    chosen.obs = obs
    return chosen


def _term_ids(obs: pd.DataFrame, labels: pd.Series) -> dict[str, str]:
    """Return the Cell Ontology id of every label whose cells all have the same one."""
    if keys.ONTOLOGY_IDS not in obs:
        return {}
    ids = obs[keys.ONTOLOGY_IDS].astype(str).groupby(labels, observed=True)
    return {str(label): str(own.iloc[0]) for label, own in ids if own.nunique() == 1}


def named_batches(obs: pd.DataFrame, label_key: str) -> str | None:
    """Return the first batch column with several values and no missing ones."""
    for name in _BATCH_COLUMNS:
        there = name != label_key and name in obs and obs[name].notna().all()
        if there and 1 < obs[name].nunique() <= _MAX_BATCHES:
            return name
    return None


def stratified_split(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Split positions in two, stratified by class.

    Parameters
    ----------
    labels
        (N,) class names.
    share
        Share of the second part, 0 to 1.

    Returns
    -------
    first, second
        Sorted positions. Classes of one cell go to the first part.

    Raises
    ------
    UserError
        Too few cells to split.
    """
    names, counts = np.unique(labels, return_counts=True)
    single = np.isin(labels, names[counts < 2])
    several = np.flatnonzero(~single)
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
    return np.sort(np.concatenate([first, np.flatnonzero(single)])), np.sort(second)
