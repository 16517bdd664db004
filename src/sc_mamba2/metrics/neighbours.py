"""The k nearest neighbours of cells in an embedding: exact for few cells, approximate for many.

Legend: N cells, D width of the embedding, K neighbours.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

EXACT_UP_TO = 50_000  # cells; a minute on one core, as long as compiling the index


@dataclass(frozen=True)
class Neighbours:
    """Nearest neighbours of every cell, by ascending distance, including the cell itself.

    `indices_NK` are rows, `distances_NK` Euclidean distances; column 0 is the cell itself, at distance 0.
    """

    indices_NK: np.ndarray
    distances_NK: np.ndarray

    def nearest(self, count: int) -> "Neighbours":
        """Return the first `count` neighbours of every cell, itself included."""
        return Neighbours(self.indices_NK[:, :count], self.distances_NK[:, :count])

    def graph(self) -> sparse.csr_matrix:
        """Return the directed graph, (N, N): row i has the distances to the neighbours of cell i."""
        cells, count = self.indices_NK.shape
        starts = np.arange(0, cells * count + 1, count)
        parts = (self.distances_NK.ravel(), self.indices_NK.ravel(), starts)
        return sparse.csr_matrix(parts, shape=(cells, cells))


def nearest_neighbours(
    embedding_ND: np.ndarray, count: int = 15, seed: int = 0, exact_up_to: int = EXACT_UP_TO
) -> Neighbours:
    """Find every cell's nearest neighbours by Euclidean distance.

    scikit-learn searches exactly up to `exact_up_to` cells; above that pynndescent builds an index
    as in UMAP and scanpy (Dong et al. 2011, "Efficient k-nearest neighbor graph construction"). Results are
    reproducible for the same cells, seed and number of threads.

    Parameters
    ----------
    embedding_ND
        (N, D) finite numbers.
    count
        Neighbours per cell, at least 1, including the cell itself (as in scanpy and scib); at most N.
    seed
        Seed of the approximate search.
    exact_up_to
        Largest N for an exact search.
    """
    cells = len(embedding_ND)
    assert count >= 1 and cells >= 1
    others = min(count, cells) - 1
    if others == 0:
        indices, distances = np.zeros((cells, 0), np.int64), np.zeros((cells, 0))
    elif cells <= exact_up_to:
        distances, indices = NearestNeighbors(n_neighbors=others).fit(embedding_ND).kneighbors()
    else:
        indices, distances = _approximate(embedding_ND, others, seed)
    return Neighbours(
        np.column_stack([np.arange(cells), indices]), np.column_stack([np.zeros(cells), distances])
    )


def _approximate(embedding_ND: np.ndarray, others: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Search with an approximate index, and exactly for cells where it found too few neighbours."""
    from pynndescent import NNDescent  # compiles at import, so only if needed

    points = np.ascontiguousarray(embedding_ND, np.float32)
    # More candidates than the default, as in UMAP: with 15, one neighbour in eight is missed.
    index = NNDescent(points, n_neighbors=others + 1, max_candidates=60, random_state=seed)
    found, distances = index.neighbor_graph
    distances = np.where(found < 0, np.inf, distances)  # -1: none found
    found, distances = _without_self(found, distances, np.arange(len(points)))
    short = np.flatnonzero(np.isinf(distances).any(axis=1))
    if len(short):
        exact = NearestNeighbors(n_neighbors=others + 1).fit(points)
        far, near = exact.kneighbors(points[short])
        found[short], distances[short] = _without_self(near, far, short)
    return found, distances


def _without_self(
    found: np.ndarray, distances: np.ndarray, cells: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Drop each cell from its own list, or the farthest neighbour if duplicates displaced it."""
    distances = np.where(found == cells[:, None], np.inf, distances)
    order = np.argsort(distances, axis=1, kind="stable")[:, :-1]
    return np.take_along_axis(found, order, axis=1), np.take_along_axis(distances, order, axis=1)
