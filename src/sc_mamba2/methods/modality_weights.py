"""Weights of each modality for each cell, as in weighted nearest neighbours (WNN).

Hao et al. 2021, "Integrated analysis of multimodal single-cell data". N cells, M modalities, K neighbours,
D width of a modality's components.
"""

from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.special import softmax
from sklearn.neighbors import NearestNeighbors

NEIGHBOURS = 20
_FLOOR = 1e-4  # added to the cross-modality affinity, as in the paper


def modality_weights(
    embeddings: Sequence[np.ndarray], fitted_N: np.ndarray, neighbours: int = NEIGHBOURS
) -> np.ndarray:
    """Weight modalities for each cell by how well its neighbours predict it, within and across modalities.

    A set of neighbours predicts a cell z in modality m by their mean p, with the affinity

    ``a(p) = exp(-max(0, |z - p| - |z - z_1|) / (s - |z - z_1|))``

    where ``z_1`` is the nearest neighbour in m and s the mean distance of the K cells that share the
    fewest neighbours with z, at least one (smallest Jaccard index above 0). A modality's ratio is the
    affinity of its own neighbours' prediction over the mean affinity of the other modalities' neighbours'
    predictions plus 1e-4; the weights are the softmax of the ratios.

    Parameters
    ----------
    embeddings
        M of the same cells, (N, D) each; scaled to length 1 first.
    fitted_N
        bool; neighbours are searched among these cells.
    neighbours
        K, fewer if there are fewer cells.

    Returns
    -------
    ndarray
        (N, M); rows sum to 1.
    """
    units = [_unit_rows(embedding) for embedding in embeddings]
    near = [_nearest(unit, fitted_N, neighbours) for unit in units]
    ratios = []
    for own, unit in enumerate(units):
        first_N = np.linalg.norm(unit - unit[near[own][:, 0]], axis=1)
        width_N = np.maximum(_reach(unit, near[own], fitted_N) - first_N, 1e-12)
        affinity = [
            np.exp(
                -np.maximum(0, np.linalg.norm(unit - unit[places].mean(axis=1), axis=1) - first_N)
                / width_N
            )
            for places in near
        ]
        others = [affinity[other] for other in range(len(units)) if other != own]
        ratios.append(affinity[own] / (np.mean(others, axis=0) + _FLOOR))
    return np.asarray(softmax(np.stack(ratios, axis=1), axis=1))


def weighted_embedding(embeddings: Sequence[np.ndarray], weights_NM: np.ndarray) -> np.ndarray:
    """Concatenate the modalities, each scaled to the square root of the cell's weight as length."""
    parts = [_unit_rows(own) * np.sqrt(weights_NM[:, [at]]) for at, own in enumerate(embeddings)]
    return np.concatenate(parts, axis=1)


def _reach(unit_ND: np.ndarray, near_NK: np.ndarray, fitted_N: np.ndarray) -> np.ndarray:
    """Return the mean distance of the K fitted cells that share the fewest neighbours with each, (N,)."""
    cells, count = near_NK.shape
    starts = np.arange(0, cells * count + 1, count)
    member = sparse.csr_matrix((np.ones(cells * count), near_NK.ravel(), starts), (cells, cells))
    rows = np.flatnonzero(fitted_N)
    shared = sparse.csr_matrix(member @ member[rows].T)  # all have K, so fewest is least Jaccard
    reach_N = np.zeros(cells)
    for cell in range(cells):
        part = slice(shared.indptr[cell], shared.indptr[cell + 1])
        places, overlap = rows[shared.indices[part]], shared.data[part]
        distance = np.linalg.norm(unit_ND[places] - unit_ND[cell], axis=1)
        reach_N[cell] = distance[np.lexsort((-distance, overlap))[:count]].mean()
    return reach_N


def _unit_rows(embedding_ND: np.ndarray) -> np.ndarray:
    length_N1 = np.linalg.norm(embedding_ND, axis=1, keepdims=True)
    return np.asarray(embedding_ND / np.maximum(length_N1, 1e-12), np.float64)


def _nearest(unit_ND: np.ndarray, fitted_N: np.ndarray, count: int) -> np.ndarray:
    """Return rows of the nearest fitted cells, (N, K), without the cell itself."""
    rows = np.flatnonzero(fitted_N)
    count = min(count, len(rows) - 1)
    search = NearestNeighbors(n_neighbors=count + 1).fit(unit_ND[rows])
    places = rows[search.kneighbors(unit_ND, return_distance=False)]
    own = places == np.arange(len(unit_ND))[:, None]
    own[~own.any(axis=1), -1] = True  # cell not among its neighbours: drop the farthest
    return places[~own].reshape(len(unit_ND), count)
