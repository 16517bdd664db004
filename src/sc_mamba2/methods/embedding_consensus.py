"""Combine several embeddings into one: principal components of their weighted concatenation.

Legend: N cells, M embeddings, D width of one (each its own), W width of the result.
"""

from collections.abc import Sequence

import numpy as np
import scanpy as sc


def unit_scale(embedding_ND: np.ndarray) -> float:
    """Return the factor that scales an embedding to a total variance of 1."""
    variance = float(((embedding_ND - embedding_ND.mean(axis=0)) ** 2).sum(axis=1).mean())
    return 1 / max(variance, 1e-24) ** 0.5


def consensus_embedding(
    embeddings: Sequence[np.ndarray], weights_M: np.ndarray, width: int, seed: int = 0
) -> np.ndarray:
    """Combine embeddings by principal components of their concatenation.

    Each is scaled to a total variance equal to its weight, so that squared distances are the weighted sum of
    theirs. Structure shared by the embeddings is in the first components, that of single ones in the last.

    Parameters
    ----------
    embeddings
        M of the same cells, (N, D) each.
    weights_M
        Weights, at least 0.
    width
        W, at most one below the number of cells and of columns.
    seed
        Seed of the solver's start.

    Returns
    -------
    ndarray
        (N, W) float32.
    """
    parts = [
        (own - own.mean(axis=0)) * (unit_scale(own) * weight**0.5)
        for own, weight in zip(embeddings, weights_M, strict=True)
    ]
    joined = np.concatenate(parts, axis=1).astype(np.float32)
    width = min(width, min(joined.shape) - 1)
    return np.asarray(sc.pp.pca(joined, n_comps=width, random_state=seed), np.float32)
