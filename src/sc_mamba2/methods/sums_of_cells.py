"""Sums over alike cells, and cells dealt from them: what can be shared where cells cannot.

Legend: N cells, G genes, S sums, D components.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

LEAST = 10  # cells in a sum
_AROUND = 25
_COMPONENTS = 20
_CELL_TOTAL = 1e4


class Sums(NamedTuple):
    """Sums over groups of cells of one class.

    Attributes
    ----------
    counts_SG
        Sum of the counts.
    expressed_SG
        How many cells express the gene.
    classes_S
        The class.
    sizes_S
        How many cells there are.
    """

    counts_SG: np.ndarray
    expressed_SG: np.ndarray
    classes_S: np.ndarray
    sizes_S: np.ndarray


def sum_alike(
    counts_NG: sparse.csr_matrix, classes_N: np.ndarray, batches_N: np.ndarray, seed: int
) -> Sums:
    """Sum the counts of alike cells of one class, at least ten in each sum.

    Cells of a class are grouped within their batch, those of batches with fewer than ten together, by k-means
    in principal components, about one group to 25 cells; a group of fewer than ten joins the nearest that has
    them.

    Parameters
    ----------
    counts_NG
        Counts.
    classes_N
        Class of each cell, each with at least `LEAST` cells.
    batches_N
        Batch of each cell, a number.
    seed
        Of the groups.
    """
    stratum_N = _strata(classes_N, batches_N)
    group_N = np.zeros(len(classes_N), dtype=np.int64)
    for one in np.unique(stratum_N):
        mine = np.flatnonzero(stratum_N == one)
        group_N[mine] = group_N.max() + 1 + _groups(counts_NG[mine], seed)
    _, first_S, group_N, sizes_S = np.unique(
        group_N, return_index=True, return_inverse=True, return_counts=True
    )
    member_SN = sparse.csr_matrix((np.ones(len(group_N)), (group_N, np.arange(len(group_N)))))
    counts_SG, expressed_SG = ((member_SN @ m).toarray() for m in (counts_NG, counts_NG > 0))
    return Sums(counts_SG, expressed_SG, classes_N[first_S], sizes_S)


def _strata(classes_N: np.ndarray, batches_N: np.ndarray) -> np.ndarray:
    """Number the cells that may be summed together, (N,): at least ten of each number."""
    stratum_N = np.zeros(len(classes_N), dtype=np.int64)
    for one in np.unique(classes_N):
        mine = np.flatnonzero(classes_N == one)
        own, size = np.unique(batches_N[mine], return_inverse=True, return_counts=True)[1:]
        own = np.where(size[own] >= LEAST, own, len(size))
        if (own == len(size)).sum() < LEAST and (size >= LEAST).any():
            least = min(np.flatnonzero(size >= LEAST), key=lambda batch: size[batch])
            own = np.where(own == len(size), least, own)
        stratum_N[mine] = stratum_N.max() + 1 + own
    return stratum_N


def _groups(counts_NG: sparse.csr_matrix, seed: int) -> np.ndarray:
    """Give each of some cells a group, (N,)."""
    wanted = -(-counts_NG.shape[0] // _AROUND)
    count = min(_COMPONENTS, min(counts_NG.shape) - 1)
    if wanted == 1 or count < 1:
        return np.zeros(counts_NG.shape[0], dtype=np.int64)
    totals_N = np.asarray(counts_NG.sum(axis=1)).ravel()
    scaled_NG = sparse.diags(_CELL_TOTAL / np.maximum(totals_N, 1)) @ counts_NG
    axes = PCA(count, svd_solver="arpack", random_state=seed)
    places_ND = axes.fit_transform(sparse.csr_matrix(scaled_NG).log1p())
    found = KMeans(wanted, n_init=3, random_state=seed).fit(places_ND)
    sizes = np.bincount(found.labels_, minlength=wanted)
    whole = np.flatnonzero(sizes >= LEAST)
    if not len(whole):
        return np.zeros(len(places_ND), dtype=np.int64)
    centres = found.cluster_centers_
    apart = np.square(centres[:, None] - centres[None, whole]).sum(axis=2)
    home = np.where(sizes >= LEAST, np.arange(wanted), whole[apart.argmin(axis=1)])
    return np.asarray(home[found.labels_])


def deal_cells(sums: Sums, seed: int) -> sparse.csr_matrix:
    """Deal the counts of each sum to as many cells as it holds, by chance: (sum of sizes, G).

    A gene falls to as many cells, any of them, as expressed it, one count to each, and each further
    count to any of these with the same probability: the cells add up to the sum.
    """
    generator = np.random.default_rng(seed)
    genes, counts = [], []
    for sum_G, expressed_G, size in zip(
        sums.counts_SG.astype(np.int64), sums.expressed_SG, sums.sizes_S, strict=True
    ):
        there = np.flatnonzero(sum_G)
        # Each gene's cells in an order of its own; the first ones express it.
        order = np.ascontiguousarray(generator.random((size, len(there))).T).argsort(axis=1)
        place = np.empty_like(order)
        np.put_along_axis(place, order, np.arange(size)[None], axis=1)
        has = np.clip(expressed_G[there], 1, sum_G[there]) > place.T
        others = has.sum(axis=0)
        left = sum_G[there] - others
        for mine in has:
            dealt = generator.binomial(left, np.where(mine, 1 / np.maximum(others, 1), 0.0))
            left, others = left - dealt, others - mine
            genes.append(there[mine])
            counts.append((dealt + mine)[mine])
    ends = np.cumsum([0, *map(len, genes)])
    shape = len(genes), sums.counts_SG.shape[1]
    parts = np.concatenate(counts).astype(np.float64), np.concatenate(genes), ends
    return sparse.csr_matrix(parts, shape)
