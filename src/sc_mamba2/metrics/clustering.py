"""Separation of cell types in an embedding: NMI, ARI and the silhouette of the labels.

Legend: N cells, D width of the embedding.
"""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from sc_mamba2.metrics.groups import (
    MAX_CELLS,
    Groups,
    group_codes,
    silhouette_widths,
    spread_sample,
)
from sc_mamba2.metrics.neighbours import Neighbours

if TYPE_CHECKING:
    import igraph

_HALVINGS, _MIN_WIDTH = 64, 1e-3  # as in umap-learn
RESOLUTIONS = tuple(step / 10 for step in range(1, 21))  # as in scib 1.1: 0.1, 0.2 … 2.0


@dataclass(frozen=True)
class Clustering:
    """The Leiden clusters, numbered from 0, with the best NMI to the labels, and their resolution."""

    clusters_N: np.ndarray
    resolution: float
    nmi: float
    ari: float


def nmi_ari(labels: Groups, clusters_N: np.ndarray) -> tuple[float, float] | None:
    """Return NMI and ARI of clusters and labels; cells without a label are left out.

    NMI is ``2 I(labels, clusters) / (H(labels) + H(clusters))``, 0 to 1. ARI is the share of pairs of cells
    on which both agree, corrected for chance (Hubert and Arabie 1985, "Comparing partitions"): about 0, or
    slightly below, for chance, 1 for the same partition. Names of labels and clusters have no influence.
    ``None`` if the labels have fewer than two classes.
    """
    codes = group_codes(labels)
    known = codes >= 0
    if len(np.unique(codes[known])) < 2:
        return None
    truth, found = codes[known], np.asarray(clusters_N)[known]
    nmi, ari = normalized_mutual_info_score(truth, found), adjusted_rand_score(truth, found)
    return float(nmi), float(ari)


def best_clustering(
    neighbours: Neighbours,
    labels: Groups,
    seed: int = 0,
    resolutions: tuple[float, ...] = RESOLUTIONS,
) -> Clustering | None:
    """Cluster all cells at every resolution and return the clusters with the best NMI.

    As in scib 1.1 (Luecken et al. 2022, "Benchmarking atlas-level data integration in single-cell
    genomics"): the labels choose the resolution, so that an embedding is not penalised for a different
    granularity. In a tie the first resolution wins.

    Parameters
    ----------
    neighbours
        Of all N cells; scib uses 15, including the cell itself.
    labels
        (N,) labels; cells without one are clustered, but not scored.
    seed
        Seed of Leiden.
    resolutions
        Grid, each above 0.

    Returns
    -------
    Clustering or None
        ``None`` if the labels have fewer than two classes.
    """
    codes = group_codes(labels)
    if len(np.unique(codes[codes >= 0])) < 2:
        return None
    graph = as_graph(connectivities(neighbours))
    best: Clustering | None = None
    for resolution in resolutions:
        clusters = leiden(graph, resolution, seed)
        agreement = nmi_ari(labels, clusters)
        assert agreement is not None
        if best is None or agreement[0] > best.nmi:
            best = Clustering(clusters, resolution, *agreement)
    return best


def connectivities(neighbours: Neighbours) -> sparse.csr_matrix:
    """Return the symmetric (N, N) graph of UMAP's weights, 0 to 1, as scanpy uses for clustering.

    Neighbour j of cell i at distance d has the weight ``exp(-max(0, d - r) / s)``, with r the distance of the
    nearest neighbour that is not at distance 0 and s such that the K weights sum to log2(K + 1); then
    ``w + w.T - w * w.T`` (McInnes et al. 2018, "UMAP: Uniform Manifold Approximation and Projection",
    section 3.1). Reimplemented because umap-learn compiles for ten seconds at its first call.
    """
    cells, count = neighbours.indices_NK.shape
    distance_NK = neighbours.distances_NK[:, 1:].astype(np.float64)
    nearest_N1 = np.where(distance_NK > 0, distance_NK, np.inf).min(
        axis=1, keepdims=True, initial=np.inf
    )
    nearest_N1[np.isinf(nearest_N1)] = 0
    beyond_NK = np.maximum(distance_NK - nearest_N1, 0)
    width_N1 = _widths(beyond_NK, float(np.log2(count)))
    own_N1 = neighbours.distances_NK.mean(axis=1, keepdims=True)
    least_N1 = np.where(nearest_N1 > 0, own_N1, neighbours.distances_NK.mean())
    width_N1 = np.maximum(width_N1, _MIN_WIDTH * least_N1)
    weight_NK = np.where(beyond_NK > 0, np.exp(-beyond_NK / np.maximum(width_N1, 1e-300)), 1.0)
    starts = (
        np.arange(0, cells * (count - 1) + 1, count - 1) if count > 1 else np.zeros(cells + 1, int)
    )
    parts = weight_NK.ravel(), neighbours.indices_NK[:, 1:].ravel(), starts
    directed = sparse.csr_matrix(parts, shape=(cells, cells))
    return (directed + directed.T - directed.multiply(directed.T)).tocsr()


def _widths(beyond_NK: np.ndarray, total: float) -> np.ndarray:
    """Find s of each cell, (N, 1), with ``sum(exp(-beyond / s)) = total``, by bisection."""
    low, high = np.zeros((len(beyond_NK), 1)), np.full((len(beyond_NK), 1), np.inf)
    width = np.ones((len(beyond_NK), 1))
    for _ in range(_HALVINGS):
        over = np.exp(-beyond_NK / width).sum(axis=1, keepdims=True) > total
        high, low = np.where(over, width, high), np.where(over, low, width)
        width = np.where(np.isinf(high), width * 2, (low + high) / 2)
    return width


def as_graph(weights: sparse.spmatrix) -> "igraph.Graph":
    """Convert a symmetric (N, N) matrix to an undirected graph, for repeated calls of `leiden`."""
    import igraph

    upper = sparse.triu(weights, k=1).tocoo()
    edges = np.column_stack([upper.row, upper.col])
    graph = igraph.Graph(n=weights.shape[0], edges=edges)
    graph.es["weight"] = upper.data
    return graph


def leiden(
    weights: "sparse.spmatrix | igraph.Graph", resolution: float, seed: int = 0
) -> np.ndarray:
    """Cluster by Leiden: modularity with a resolution, igraph's two iterations; clusters from 0.

    Traag et al. 2019, "From Louvain to Leiden". The same graph and seed give the same clusters;
    another order of the cells may change them slightly.

    Parameters
    ----------
    weights
        (N, N) symmetric graph, or `as_graph` of it.
    resolution
        Above 0; higher values give more clusters.
    seed
        Seed of the order in which cells are visited.
    """
    import igraph

    graph = weights if isinstance(weights, igraph.Graph) else as_graph(weights)
    igraph.set_random_number_generator(random.Random(seed))
    try:
        found = graph.community_leiden(
            objective_function="modularity", weights="weight", resolution=resolution
        )
    finally:
        igraph.set_random_number_generator(random)  # igraph's default
    return np.asarray(found.membership)


def asw_label(embedding_ND: np.ndarray, labels: Groups, most: int = MAX_CELLS) -> float | None:
    """Return the average silhouette width of the labels, rescaled to 0 to 1.

    ``(mean silhouette + 1) / 2`` (scib 1.1, `silhouette`); higher is better, 0.5 is no structure.
    ``None`` if the labels have fewer than two classes, or one per cell.

    Parameters
    ----------
    embedding_ND
        (N, D) finite numbers.
    labels
        (N,) labels; cells without one are left out.
    most
        Most cells to use, evenly spread over the labels; time grows with its square.
    """
    codes = group_codes(labels)
    rows = np.flatnonzero(codes >= 0)
    rows = rows[spread_sample([codes[rows]], most)]
    widths = silhouette_widths(np.asarray(embedding_ND)[rows], codes[rows])
    return None if widths is None else float((widths.mean() + 1) / 2)
