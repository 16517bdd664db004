"""Majority vote: the cells of a fine cluster take its most frequently predicted type.

As in CellTypist (Dominguez Conde et al. 2022), but on the model's own embedding: clusters much finer than
types, by Leiden on the graph of nearest neighbours.
"""

import numpy as np
import pandas as pd

from sc_mamba2.metrics.clustering import connectivities, leiden
from sc_mamba2.metrics.neighbours import nearest_neighbours

NEIGHBOURS = 15
MIN_CELLS = 30  # with fewer, each cell is its own cluster
# Upper limit of cells, resolution: more cells get more clusters.
_RESOLUTIONS = ((5_000, 5.0), (20_000, 10.0), (40_000, 15.0), (100_000, 20.0), (200_000, 25.0))
_FINEST = 30.0


def over_cluster(embedding: pd.DataFrame, resolution: float | None, seed: int) -> np.ndarray:
    """Cluster cells finely by Leiden.

    Parameters
    ----------
    embedding
        N cells x D; of fewer than 30 cells each is its own cluster.
    resolution
        Of Leiden's modularity; `None`: 5 to 30, rising with the number of cells.
    seed
        Seed of the clustering.

    Returns
    -------
    ndarray
        (N,) cluster numbers.
    """
    values = embedding.to_numpy(dtype=np.float32)
    if len(values) < MIN_CELLS:
        return np.arange(len(values))
    if resolution is None:
        resolution = next((r for below, r in _RESOLUTIONS if len(values) < below), _FINEST)
    weights = connectivities(nearest_neighbours(values, NEIGHBOURS, seed))
    return leiden(weights, resolution, seed)


def majority_vote(called: pd.Series, clusters: np.ndarray, least_share: float) -> pd.Series:
    """Assign every cell the most frequently predicted type of its cluster.

    Parameters
    ----------
    called
        Predicted types of N cells.
    clusters
        (N,) cluster numbers.
    least_share
        Share of its cluster, 0 to 1, that a type must reach; otherwise the cells keep their own types.

    Returns
    -------
    Series
        N types. The first by name wins a tie.
    """
    counts = pd.crosstab(clusters, called.to_numpy())
    winner, share = counts.idxmax(axis=1), counts.max(axis=1) / counts.sum(axis=1)
    voted = called.copy()
    confident = (share.loc[clusters] >= least_share).to_numpy()
    voted[confident] = winner.loc[clusters].to_numpy()[confident]
    return voted
