"""How well an embedding keeps the types of cells apart: NMI, ARI and the label's silhouette.

Legend: N cells, D width of the embedding.
"""

import random
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from sc_mamba2.metrics.groups import (
    MOST_CELLS,
    Groups,
    group_codes,
    silhouette_widths,
    spread_sample,
)
from sc_mamba2.metrics.neighbours import Neighbours

RESOLUTIONS = tuple(step / 10 for step in range(1, 21))  # those of scib 1.1: 0.1, 0.2 … 2.0


@dataclass(frozen=True)
class Clustering:
    """The Leiden clusters, numbered from 0, that agree best with the labels, and their resolution."""

    clusters_N: np.ndarray
    resolution: float
    nmi: float
    ari: float


_LEAST_SHARED = 1 / 15


def nmi_ari(labels: Groups, clusters_N: np.ndarray) -> tuple[float, float] | None:
    """Say how well clusters agree with labels; cells without a label are left out.

    NMI is ``2 I(labels, clusters) / (H(labels) + H(clusters))``, 0 to 1. ARI is the share of pairs of cells
    on which both agree, corrected for chance (Hubert and Arabie 1985, "Comparing partitions"): about 0 for
    chance (it can be a little below), 1 for the same partition. Names of labels and clusters do not count.
    ``None`` where the labels have fewer than two classes: there is nothing to keep apart.
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
    """Cluster all cells at every resolution and take the clusters with the best NMI.

    As in scib 1.1 (Luecken et al. 2022, "Benchmarking atlas-level data integration in single-cell
    genomics"): the labels choose the resolution, so that an embedding is not punished for another
    granularity. Of equal ones the lowest resolution is taken.

    Parameters
    ----------
    neighbours
        Of all N cells; scib takes 15, the cell itself included.
    labels
        (N,) labels; cells without one are clustered, but not scored.
    seed
        Seed of Leiden.
    resolutions
        Grid, each above 0.

    Returns
    -------
    Clustering or None
        ``None`` where the labels have fewer than two classes.
    """
    codes = group_codes(labels)
    if len(np.unique(codes[codes >= 0])) < 2:
        return None
    weights = connectivities(neighbours)
    best: Clustering | None = None
    for resolution in resolutions:
        clusters = leiden(weights, resolution, seed)
        agreement = nmi_ari(labels, clusters)
        assert agreement is not None
        if best is None or agreement[0] > best.nmi:
            best = Clustering(clusters, resolution, *agreement)
    return best


def connectivities(neighbours: Neighbours) -> sparse.csr_matrix:
    """Return the symmetric (N, N) graph of UMAP's weights, 0 to 1, as scanpy clusters on it.

    McInnes et al. 2018, "UMAP: Uniform Manifold Approximation and Projection", section 3.1.
    """
    from umap.umap_ import fuzzy_simplicial_set  # compiles at import

    cells, count = neighbours.indices_NK.shape
    weights, *_ = fuzzy_simplicial_set(
        sparse.csr_matrix((cells, 1)),
        n_neighbors=count,
        random_state=None,
        metric=None,
        knn_indices=neighbours.indices_NK,
        knn_dists=neighbours.distances_NK,
    )
    return weights


def shared_neighbours(neighbours: Neighbours) -> sparse.csr_matrix:
    """Return the symmetric (N, N) graph of the share of neighbours that two cells have in common.

    The Jaccard index of their K nearest, themselves included, 1/15 at least, as Seurat clusters on it. It
    compiles nothing, unlike `connectivities`.
    """
    cells, count = neighbours.indices_NK.shape
    starts = np.arange(0, cells * count + 1, count)
    near_NN = sparse.csr_matrix(
        (np.ones(cells * count), neighbours.indices_NK.ravel(), starts), (cells, cells)
    )
    shared_NN = sparse.csr_matrix(near_NN @ near_NN.T)
    shared_NN.data = shared_NN.data / (2 * count - shared_NN.data)
    shared_NN.data[shared_NN.data < _LEAST_SHARED] = 0
    shared_NN.setdiag(0)
    shared_NN.eliminate_zeros()
    return shared_NN


def leiden(weights: sparse.spmatrix, resolution: float, seed: int = 0) -> np.ndarray:
    """Cluster by Leiden: modularity with a resolution, igraph's two iterations; clusters from 0.

    Traag et al. 2019, "From Louvain to Leiden". The same graph and seed give the same clusters;
    another order of the cells may give slightly other ones.

    Parameters
    ----------
    weights
        (N, N) symmetric graph.
    resolution
        Above 0; the higher, the more clusters.
    seed
        Seed of the order in which cells are visited.
    """
    import igraph

    graph = igraph.Graph.Weighted_Adjacency(weights, mode="directed")
    graph.to_undirected(mode="each")
    igraph.set_random_number_generator(random.Random(seed))
    try:
        found = graph.community_leiden(
            objective_function="modularity", weights="weight", resolution=resolution
        )
    finally:
        igraph.set_random_number_generator(random)  # igraph's own default
    return np.asarray(found.membership)


def asw_label(embedding_ND: np.ndarray, labels: Groups, most: int = MOST_CELLS) -> float | None:
    """Return the average silhouette width of the labels, brought to 0 to 1.

    ``(mean silhouette + 1) / 2`` (scib 1.1, `silhouette`); higher is better, 0.5 is no structure.
    ``None`` where the labels have fewer than two classes, or each cell has its own.

    Parameters
    ----------
    embedding_ND
        (N, D) finite numbers.
    labels
        (N,) labels; cells without one are left out.
    most
        Cells that are used at most, evenly spread over the labels; the time grows with its square.
    """
    codes = group_codes(labels)
    rows = np.flatnonzero(codes >= 0)
    rows = rows[spread_sample([codes[rows]], most)]
    widths = silhouette_widths(np.asarray(embedding_ND)[rows], codes[rows])
    return None if widths is None else float((widths.mean() + 1) / 2)
