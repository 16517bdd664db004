"""Reference mapping: an index of labelled cells, and types for cells that lie near to them."""

import numpy as np
import pandas as pd

from sc_mamba2.cells import keys
from sc_mamba2.methods.neighbour_vote import NeighbourVote, own_distances
from sc_mamba2.tasks.embedding.blocks import LABEL, EmbeddedBlocks
from sc_mamba2.tasks.embedding.index import ReferenceIndex
from sc_mamba2.tasks.embedding.model import Encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions, KeyParams, MappingParams


def make_index(
    embedded: EmbeddedBlocks,
    encoder: Encoder,
    obs_keys: KeyParams,
    options: EmbeddingOptions,
    params: MappingParams,
) -> ReferenceIndex:
    """Keep the labelled cells of an embedding, and how far they are from each other.

    Parameters
    ----------
    embedded
        The reference, with its labels.
    encoder, options
        By what it was embedded.
    obs_keys
        Where the labels come from.
    params
        Neighbours, and how many cells' own distances are measured.
    """
    labels = embedded.obs[LABEL]
    labelled = np.flatnonzero(labels.notna())
    vectors = embedded.take(labelled)
    return ReferenceIndex(
        vectors,
        labels.iloc[labelled].to_numpy(dtype=str),
        labels.index[labelled],
        own_distances(vectors, params.neighbours, params.own_cells),
        {
            "label_key": obs_keys.label_key,
            "neighbours": params.neighbours,
            "space": encoder.identity(options),
        },
    )


def map_cells(
    embedded: EmbeddedBlocks, index: ReferenceIndex, params: MappingParams
) -> pd.DataFrame:
    """Give every cell the type of the reference cells next to it, by `NeighbourVote`.

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
    vote, own = NeighbourVote(index.vectors, classes, params.neighbours), index.own_distances
    best, share, distance = map(
        np.concatenate, zip(*(vote(vectors) for vectors in embedded), strict=True)
    )
    nearer = np.searchsorted(own, distance.astype(own.dtype)) / len(own)
    calls = pd.DataFrame(
        {
            keys.CELL_TYPE: pd.Categorical.from_codes(best, categories=pd.Index(names)),
            keys.CONFIDENCE: share.astype(np.float32),
            keys.DISTANCE: nearer.astype(np.float32),
        },
        index=embedded.obs.index,
    )
    doubtful = calls[keys.CONFIDENCE] < params.unassigned_below
    calls[keys.UNASSIGNED] = doubtful | (calls[keys.DISTANCE] > params.unassigned_beyond)
    return calls
