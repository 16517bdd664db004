"""One embedding of several: each by its weight, then their principal components.

Legend: N cells, M embeddings, D width of one (each its own), W width of the result.
"""

from collections.abc import Sequence

import numpy as np
import scanpy as sc


def unit_scale(embedding_ND: np.ndarray) -> float:
    """Return what brings an embedding to a variance of 1 in all, once it is centred."""
    variance = float(((embedding_ND - embedding_ND.mean(axis=0)) ** 2).sum(axis=1).mean())
    return 1 / max(variance, 1e-24) ** 0.5


def consensus_embedding(
    embeddings: Sequence[np.ndarray], weights_M: np.ndarray, width: int, seed: int = 0
) -> np.ndarray:
    """Join embeddings by the principal components of all of them side by side.

    Each is brought to a variance of 1 in all, then to that of its weight, so that squared distances are the
    weighted mean of theirs. What the embeddings share lies in the first components, what one alone
    says in the last.

    Parameters
    ----------
    embeddings
        M of the same cells, (N, D) each.
    weights_M
        Not negative.
    width
        W; one fewer than cells or columns where those are few.
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
