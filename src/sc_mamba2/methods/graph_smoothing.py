"""Probabilities smoothed over a graph of neighbouring cells. N cells, K classes."""

import numpy as np
from scipy import sparse


def smooth_over_graph(
    probability_NK: np.ndarray, graph_NN: sparse.csr_matrix, share: float, steps: int
) -> np.ndarray:
    """Mix each cell's probabilities with those of its neighbours, iteratively.

    ``p ← share D⁻¹ W p + (1 - share) p₀``: label spreading (Zhou et al. 2003) with random-walk
    normalisation, which preserves row sums; a cell without neighbours stays unchanged.

    Parameters
    ----------
    probability_NK
        p₀; rows sum to one.
    graph_NN
        W, weights of the neighbours, at least 0.
    share
        Share of the neighbours, 0 to below 1.
    steps
        Number of iterations.
    """
    degree_N = np.asarray(graph_NN.sum(axis=1)).ravel()
    alone_N = degree_N == 0
    walk_NN = sparse.diags(1 / np.where(alone_N, 1, degree_N)) @ graph_NN + sparse.diags(
        alone_N.astype(float)
    )
    smoothed_NK = probability_NK
    for _ in range(steps):
        smoothed_NK = share * (walk_NN @ smoothed_NK) + (1 - share) * probability_NK
    return np.asarray(smoothed_NK)
