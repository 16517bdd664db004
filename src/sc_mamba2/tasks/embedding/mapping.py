"""Reference mapping: an index of labelled cells, and types for cells that lie near to them."""

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from sc_mamba2.cells import keys
from sc_mamba2.datasets.index import ReferenceIndex
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.embedding.blocks import EmbeddedBlocks
from sc_mamba2.tasks.embedding.encode import LABEL
from sc_mamba2.tasks.embedding.params import MappingParams


def build_index(
    embedded: EmbeddedBlocks, space: dict[str, object], label_key: str, params: MappingParams
) -> ReferenceIndex:
    """Keep the labelled cells of an embedding, and how far they are from each other.

    Parameters
    ----------
    embedded
        The reference, with its labels.
    space
        What another embedding must share to lie in the same space.
    label_key
        Where the labels come from.
    params
        Neighbours, and how many cells' own distances are measured.

    Returns
    -------
    ReferenceIndex
        Its `own_distances` are the mean Euclidean distances of reference cells, evenly taken, to
        their nearest other reference cells.
    """
    labels = embedded.obs[LABEL]
    labelled = np.flatnonzero(labels.notna())
    vectors = embedded.take(labelled)
    size = min(params.own_cells, len(vectors))
    chosen = np.linspace(0, len(vectors) - 1, size).round().astype(np.int64)
    neighbours = min(params.neighbours, len(vectors) - 1)
    found, _ = NearestNeighbors(n_neighbors=neighbours + 1).fit(vectors).kneighbors(vectors[chosen])
    own = np.sort(found[:, 1:].mean(axis=1)).astype(
        np.float32
    )  # the nearest one is the cell itself
    facts = {"label_key": label_key, "neighbours": params.neighbours, "space": space}
    return ReferenceIndex(
        vectors, labels.iloc[labelled].to_numpy(dtype=str), labels.index[labelled], own, facts
    )


def check_space(index: ReferenceIndex, space: dict[str, object]) -> None:
    """Refuse an index whose vectors lie in another space.

    Raises
    ------
    UserError
        Rule ``index-checkpoint``.
    """
    other = {name: value for name, value in index.facts["space"].items() if space[name] != value}
    if other:
        raise UserError(
            "index-checkpoint",
            found="an index of another " + ", ".join(other),
            expected=", ".join(f"{name} {value}" for name, value in other.items()),
            mend="embed with the checkpoint and the options of the index, or make it again: "
            "scm index",
        )


def map_cells(
    embedded: EmbeddedBlocks, index: ReferenceIndex, params: MappingParams
) -> pd.DataFrame:
    """Give every cell the type of the reference cells next to it.

    Each of the k nearest cells (Euclidean) votes with 1 / its distance.

    Parameters
    ----------
    embedded
        The cells, in the space of the index.
    index
        The reference.
    params
        Neighbours, and from where on a cell is marked as unassigned.

    Returns
    -------
    DataFrame
        N rows: the best type; its share of the votes as confidence, 0 to 1; the distance, as the share
        of reference cells that are nearer to their own neighbours than this cell is, 0 to 1 (1:
        nothing in the reference is like it); and the mark.
    """
    names, classes = np.unique(index.labels, return_inverse=True)
    search = NearestNeighbors(n_neighbors=min(params.neighbours, len(classes))).fit(index.vectors)
    best, confidence, distance = [], [], []
    for vectors in embedded:
        far_BK, cells_BK = search.kneighbors(vectors)
        weights_BK = 1 / np.maximum(far_BK, np.finfo(np.float32).tiny)
        votes = np.zeros((len(vectors), len(names)))
        np.add.at(votes, (np.arange(len(vectors))[:, None], classes[cells_BK]), weights_BK)
        best.append(votes.argmax(axis=1))
        confidence.append(votes.max(axis=1) / votes.sum(axis=1))
        own = index.own_distances
        distance.append(np.searchsorted(own, far_BK.mean(axis=1).astype(own.dtype)) / len(own))
    calls = pd.DataFrame(
        {
            keys.CELL_TYPE: pd.Categorical.from_codes(np.concatenate(best), categories=names),
            keys.CONFIDENCE: np.concatenate(confidence).astype(np.float32),
            keys.DISTANCE: np.concatenate(distance).astype(np.float32),
        },
        index=embedded.obs.index,
    )
    doubtful = calls[keys.CONFIDENCE] < params.unassigned_below
    calls[keys.UNASSIGNED] = doubtful | (calls[keys.DISTANCE] > params.unassigned_beyond)
    return calls
