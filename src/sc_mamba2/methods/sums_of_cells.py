"""Sums over similar cells, and synthetic cells drawn from them, to share when cells cannot be shared.

Legend: N cells, G genes, S sums, D components.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from sc_mamba2.methods.gene_priors import CELL_TOTAL

MIN_CELLS = 10  # cells in a sum
_CELLS_PER_SUM = 25
_COMPONENTS = 20


class Sums(NamedTuple):
    """Sums over groups of cells of one class."""

    counts_SG: np.ndarray
    expressed_SG: np.ndarray  # number of cells that express the gene
    classes_S: np.ndarray
    sizes_S: np.ndarray  # number of cells


def sum_alike(
    counts_NG: sparse.csr_matrix, classes_N: np.ndarray, batches_N: np.ndarray, seed: int
) -> Sums:
    """Sum the counts of similar cells of one class, at least ten in each sum.

    Cells of a class are grouped within batches (those with fewer than ten of its cells are pooled) by k-means
    in principal components, about one group per 25 cells; smaller groups than ten join the nearest large one.

    Parameters
    ----------
    counts_NG
        Counts.
    classes_N
        Class of each cell, each with at least `MIN_CELLS` cells.
    batches_N
        Batch number of each cell.
    seed
        Seed of the groups.
    """
    stratum_N = _strata(classes_N, batches_N)
    group_N = np.zeros(len(classes_N), dtype=np.int64)
    for one in np.unique(stratum_N):
        members = np.flatnonzero(stratum_N == one)
        group_N[members] = group_N.max() + 1 + _groups(counts_NG[members], seed)
    _, first_S, group_N, sizes_S = np.unique(
        group_N, return_index=True, return_inverse=True, return_counts=True
    )
    member_SN = sparse.csr_matrix((np.ones(len(group_N)), (group_N, np.arange(len(group_N)))))
    counts_SG, expressed_SG = ((member_SN @ m).toarray() for m in (counts_NG, counts_NG > 0))
    return Sums(counts_SG, expressed_SG, classes_N[first_S], sizes_S)


def _strata(classes_N: np.ndarray, batches_N: np.ndarray) -> np.ndarray:
    """Return the number of each cell's stratum of class and batch, (N,), each with at least ten cells.

    Small batches are pooled; if still fewer than ten, they join the smallest large batch.
    """
    stratum_N = np.zeros(len(classes_N), dtype=np.int64)
    for one in np.unique(classes_N):
        members = np.flatnonzero(classes_N == one)
        own, size = np.unique(batches_N[members], return_inverse=True, return_counts=True)[1:]
        own = np.where(size[own] >= MIN_CELLS, own, len(size))
        if (own == len(size)).sum() < MIN_CELLS and (size >= MIN_CELLS).any():
            least = min(np.flatnonzero(size >= MIN_CELLS), key=lambda batch: size[batch])
            own = np.where(own == len(size), least, own)
        stratum_N[members] = stratum_N.max() + 1 + own
    return stratum_N


def _groups(counts_NG: sparse.csr_matrix, seed: int) -> np.ndarray:
    """Cluster the cells of one stratum; return group numbers, (N,)."""
    wanted = -(-counts_NG.shape[0] // _CELLS_PER_SUM)
    count = min(_COMPONENTS, min(counts_NG.shape) - 1)
    if wanted == 1 or count < 1:
        return np.zeros(counts_NG.shape[0], dtype=np.int64)
    totals_N = np.asarray(counts_NG.sum(axis=1)).ravel()
    scaled_NG = sparse.diags(CELL_TOTAL / np.maximum(totals_N, 1)) @ counts_NG
    axes = PCA(count, svd_solver="arpack", random_state=seed)
    places_ND = axes.fit_transform(sparse.csr_matrix(scaled_NG).log1p())
    found = KMeans(wanted, n_init=3, random_state=seed).fit(places_ND)
    sizes = np.bincount(found.labels_, minlength=wanted)
    whole = np.flatnonzero(sizes >= MIN_CELLS)
    if not len(whole):
        return np.zeros(len(places_ND), dtype=np.int64)
    centres = found.cluster_centers_
    distances = np.square(centres[:, None] - centres[None, whole]).sum(axis=2)
    home = np.where(sizes >= MIN_CELLS, np.arange(wanted), whole[distances.argmin(axis=1)])
    return np.asarray(home[found.labels_])


def draw_synthetic_cells(sums: Sums, seed: int) -> sparse.csr_matrix:
    """Distribute the counts of each sum randomly over as many synthetic cells as it has, (sum of sizes, G).

    As many random cells as expressed a gene get one count each, and each further count goes to one of these
    with equal probability, so the cells add up to the sum.
    """
    generator = np.random.default_rng(seed)
    genes, counts = [], []
    for sum_G, expressed_G, size in zip(
        sums.counts_SG.astype(np.int64), sums.expressed_SG, sums.sizes_S, strict=True
    ):
        expressed = np.flatnonzero(sum_G)
        # A random order of the cells for each gene; the first ones express it.
        order = np.ascontiguousarray(generator.random((size, len(expressed))).T).argsort(axis=1)
        place = np.empty_like(order)
        np.put_along_axis(place, order, np.arange(size)[None], axis=1)
        has = np.clip(expressed_G[expressed], 1, sum_G[expressed]) > place.T
        others = has.sum(axis=0)
        left = sum_G[expressed] - others
        for mine in has:
            drawn = generator.binomial(left, np.where(mine, 1 / np.maximum(others, 1), 0.0))
            left, others = left - drawn, others - mine
            genes.append(expressed[mine])
            counts.append((drawn + mine)[mine])
    ends = np.cumsum([0, *map(len, genes)])
    shape = len(genes), sums.counts_SG.shape[1]
    parts = np.concatenate(counts).astype(np.float64), np.concatenate(genes), ends
    return sparse.csr_matrix(parts, shape)
