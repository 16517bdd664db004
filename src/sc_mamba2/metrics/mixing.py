"""How well an embedding mixes batches: silhouette within labels, graph connectivity, neighbours.

Legend: N cells, D width of the embedding.
"""

import numpy as np
from scipy.sparse.csgraph import connected_components

from sc_mamba2.metrics.groups import (
    MOST_CELLS,
    Groups,
    group_codes,
    silhouette_widths,
    spread_sample,
)
from sc_mamba2.metrics.neighbours import Neighbours


def asw_batch(
    embedding_ND: np.ndarray, labels: Groups, batches: Groups, most: int = MOST_CELLS
) -> float | None:
    """Return how little the batches stand apart within each label.

    For every label, ``mean(1 - |silhouette of the batches among its cells|)``; then the mean over
    the labels (scib 1.1, `silhouette_batch`). 0 to 1, higher is better. A label that one batch
    alone has, or whose cells are each of another batch, says nothing and is left out; ``None`` where no
    label has cells of two batches.

    Parameters
    ----------
    embedding_ND
        (N, D) finite numbers.
    labels, batches
        (N,) of the cells; cells without one of them are left out.
    most
        Cells that are used at most, evenly spread over labels and their batches; the time grows
        with the square of the largest label.
    """
    label_codes, batch_codes = group_codes(labels), group_codes(batches)
    rows = np.flatnonzero((label_codes >= 0) & (batch_codes >= 0))
    rows = rows[spread_sample([label_codes[rows], batch_codes[rows]], most)]
    embedding_ND = np.asarray(embedding_ND)
    means = []
    for label in np.unique(label_codes[rows]):
        members = rows[label_codes[rows] == label]
        widths = silhouette_widths(embedding_ND[members], batch_codes[members])
        if widths is not None:
            means.append(np.mean(1 - np.abs(widths)))
    return float(np.mean(means)) if means else None


def graph_connectivity(neighbours: Neighbours, labels: Groups) -> float | None:
    """Return how far the cells of each label hang together.

    The share of a label's cells that lie in the largest strongly connected component of the
    neighbours' directed graph among them, mean over the labels (Luecken et al. 2022; the graph as in
    scib-metrics). Above 0, to 1; higher is better; one label is scored, as two are. Cells without a label
    are left out; ``None`` where no cell has one.
    """
    codes = group_codes(labels)
    graph = neighbours.graph()
    shares = []
    for label in np.unique(codes[codes >= 0]):
        members = np.flatnonzero(codes == label)
        among = graph[members][:, members]
        _, component = connected_components(among, connection="strong")
        shares.append(np.bincount(component).max() / len(members))
    return float(np.mean(shares)) if shares else None


def neighbour_mixing(neighbours: Neighbours, batches: Groups) -> float | None:
    """Return how far the batches of neighbours are as by chance; no label is needed.

    ``1 - mean(s_i - c_i) / mean(1 - c_i)``, with ``s_i`` the share of cell i's batch among its
    neighbours and ``c_i`` its share among all other cells. 1 as by chance, 0 where neighbours are
    of one batch throughout. Where batches hold other types, a good embedding stays below 1. Cells without
    a batch are left out, as cells and as neighbours; ``None`` where there are fewer than two batches.
    """
    codes = group_codes(batches)
    near_NK = codes[neighbours.indices_NK[:, 1:]]
    with_batch = (codes >= 0) & (near_NK >= 0).any(axis=1)
    if len(np.unique(codes[codes >= 0])) < 2 or not with_batch.any():
        return None
    counts = np.bincount(codes[codes >= 0])
    chance = (counts[codes[with_batch]] - 1) / (counts.sum() - 1)
    near_NK, own = near_NK[with_batch], codes[with_batch, None]
    same = (near_NK == own).sum(axis=1) / (near_NK >= 0).sum(axis=1)
    return float(1 - (same - chance).mean() / (1 - chance).mean())
