"""Label-free scores of embeddings, against clusters on which all of them agree.

N cells.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from scipy import sparse

from sc_mamba2.metrics.clustering import as_graph, asw_label, connectivities, leiden, nmi_ari
from sc_mamba2.metrics.groups import spread_sample
from sc_mamba2.metrics.integration import NEIGHBOURS
from sc_mamba2.metrics.mixing import asw_batch
from sc_mamba2.metrics.neighbours import nearest_neighbours

RESOLUTIONS = (0.5, 1.0)  # of the agreed clusters, which replace cell types
_NEARBY = (0.6, 1.0, 1.6)  # an embedding's own clusters may be finer or coarser
_BIO = 0.6  # weight of bio conservation in scIB's overall score
MAX_CELLS = 10_000
MAX_CELLS_FOR_SILHOUETTES = 3000


class Clusters(NamedTuple):
    """Clusters on which candidates agree: labels of the cells in `rows`, one array per resolution."""

    rows: np.ndarray
    labels: dict[float, np.ndarray]


def agreed_clusters(
    candidates: Iterable[np.ndarray], codes_N: np.ndarray, seed: int = 0
) -> Clusters:
    """Cluster cells by the mean of the candidates' neighbour graphs.

    Neighbours in one embedding may be accidental; neighbours in all of them are not.

    Parameters
    ----------
    candidates
        (N, …) each.
    codes_N
        Batches; with many cells a sample is taken evenly from each.
    seed
        Seed of Leiden.
    """
    rows = spread_sample([codes_N], MAX_CELLS)
    graphs = [_weights(embedding[rows], seed) for embedding in candidates]
    mean = as_graph(sum(graphs[1:], graphs[0]) / len(graphs))
    return Clusters(rows, {at: leiden(mean, at, seed) for at in RESOLUTIONS})


def inner_scores(
    embedding_NE: np.ndarray, codes_N: np.ndarray, clusters: Clusters, seed: int = 0
) -> dict[str, float]:
    """Score an embedding like scIB, with agreed clusters instead of cell types.

    Overcorrection lowers the agreement with the clusters; remaining batch effects lower the batch
    silhouette within them.

    Returns
    -------
    dict
        ``clusters_kept`` (mean of NMI, ARI and cluster silhouette), ``clusters_mixed`` (batch silhouette
        within clusters) and ``inner`` (0.6 and 0.4 of these), means over `RESOLUTIONS`; empty with fewer
        than two clusters.
    """
    own, codes = embedding_NE[clusters.rows], codes_N[clusters.rows]
    graph = as_graph(_weights(own, seed))
    found = []
    for resolution, labels in clusters.labels.items():
        agreements = [
            nmi_ari(labels, leiden(graph, resolution * factor, seed)) for factor in _NEARBY
        ]
        known = [agreement for agreement in agreements if agreement is not None]
        width = asw_label(own, labels, MAX_CELLS_FOR_SILHOUETTES)
        if known and width is not None:
            mixed = asw_batch(own, labels, codes, MAX_CELLS_FOR_SILHOUETTES) or 0.0
            found.append((float(np.mean([*max(known), width])), mixed))
    if not found:
        return {}
    kept, mixed = map(float, np.mean(found, axis=0))
    inner = _BIO * kept + (1 - _BIO) * mixed
    return {"clusters_kept": kept, "clusters_mixed": mixed, "inner": inner}


def _weights(embedding_NE: np.ndarray, seed: int) -> sparse.csr_matrix:
    return connectivities(nearest_neighbours(embedding_NE, NEIGHBOURS, seed))
