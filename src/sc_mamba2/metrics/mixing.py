"""Batch mixing of an embedding: silhouette within labels, graph connectivity, neighbours.

Legend: N cells, D width of the embedding.
"""

import numpy as np
from scipy.sparse.csgraph import connected_components

from sc_mamba2.metrics.groups import (
    MAX_CELLS,
    Groups,
    group_codes,
    silhouette_widths,
    spread_sample,
)
from sc_mamba2.metrics.neighbours import Neighbours


def asw_batch(
    embedding_ND: np.ndarray, labels: Groups, batches: Groups, most: int = MAX_CELLS
) -> float | None:
    """Return the batch silhouette score: how little batches are separated within each label.

    For every label, ``mean(1 - |silhouette of the batches among its cells|)``; then the mean over
    the labels (scib 1.1, `silhouette_batch`). 0 to 1, higher is better. Labels with a single batch, or with
    a different batch for every cell, are left out; ``None`` if no label remains.

    Parameters
    ----------
    embedding_ND
        (N, D) finite numbers.
    labels, batches
        (N,) of the cells; cells lacking either are left out.
    most
        Most cells to use, evenly spread over labels and their batches; time grows with the square of the
        largest label.
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
    """Return how connected the cells of each label are in the neighbour graph.

    The share of a label's cells in the largest strongly connected component of the directed neighbour graph
    among them, mean over the labels (Luecken et al. 2022; the graph as in scib-metrics). Above 0, up to 1;
    higher is better; also defined for a single label. Cells without a label are left out; ``None`` if no
    cell has one.
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
    """Return how random the batches of neighbours are, without using labels.

    ``1 - mean(s_i - c_i) / mean(1 - c_i)``, with ``s_i`` the share of cell i's batch among its
    neighbours and ``c_i`` among all other cells. 1 for random batches, 0 if all neighbours are of the same
    batch. If batches differ in their cell types, a good embedding stays below 1. Cells without a batch are
    left out, also as neighbours; ``None`` with fewer than two batches.
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
