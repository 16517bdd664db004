"""Priors of a cell's gene rates, each fitted to the counts of all cells.

A prior is called with rows of these counts and its hyperparameters, and returns (B, G) float32, positive,
with rows that sum to one. The posterior given the cell's own counts is in `molecules`.
Legend: N cells, G genes, B cells of a block, R rank.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import svds
from sklearn.decomposition import PCA

from sc_mamba2.methods.molecules import posterior_rates
from sc_mamba2.metrics.neighbours import nearest_neighbours

CELL_TOTAL = 1e4
HALF = 0.5  # pseudocount of every gene, and share of the gene means in `SingularVectors`


def gene_means(counts_NG: sparse.csr_matrix) -> np.ndarray:
    """Return each gene's share of all molecules, with a pseudocount of 0.5, (G,) float64."""
    totals_G = np.asarray(counts_NG.sum(axis=0, dtype=np.float64)).ravel() + HALF
    return np.asarray(totals_G / totals_G.sum())


class GeneMeans:
    """The gene means over all cells, the same prior for every cell."""

    def __init__(self, counts_NG: sparse.csr_matrix) -> None:
        self._means_G = gene_means(counts_NG).astype(np.float32)

    def __call__(self, rows_B: np.ndarray) -> np.ndarray:
        """Return the prior of some cells."""
        return np.tile(self._means_G, (len(rows_B), 1))


class OwnCounts:
    """A cell's own counts plus pseudocounts proportional to the gene means."""

    def __init__(self, counts_NG: sparse.csr_matrix) -> None:
        self._counts_NG, self._means_G = counts_NG, gene_means(counts_NG)

    def __call__(self, rows_B: np.ndarray, mean_molecules: float) -> np.ndarray:
        """Return the prior of some cells, ``(c + mean_molecules * means) / (n + mean_molecules)``."""
        prior_BG = self._counts_NG[rows_B].toarray().astype(np.float32, copy=False)
        prior_BG += (mean_molecules * self._means_G).astype(np.float32)
        prior_BG /= prior_BG.sum(axis=1, keepdims=True)
        return prior_BG


class NearestCells:
    """The posterior of the gene means given the summed counts of the nearest cells.

    Neighbours are searched in principal components of ``log1p(CP10K)``. The cell itself is excluded: its
    counts enter through the posterior that uses this prior. A rare gene stays near its mean if none of the
    neighbours has it, where adding pseudocounts to the sum would leave a fifth of that.

    Parameters
    ----------
    counts_NG
        Integer counts, at least two cells and two genes.
    components
        Most principal components.
    most
        Most neighbours.
    seed
        Seed of the solver's start, and of the search among many cells.
    """

    def __init__(
        self, counts_NG: sparse.csr_matrix, components: int, most: int, seed: int = 0
    ) -> None:
        self._counts_NG, self._means_1G = counts_NG, gene_means(counts_NG).astype(np.float32)[None]
        totals_N = np.asarray(counts_NG.sum(axis=1)).ravel()
        logs_NG = _scale_rows(counts_NG, CELL_TOTAL / np.maximum(totals_N, 1))
        logs_NG.data = np.log1p(logs_NG.data)
        width = min(components, min(counts_NG.shape) - 1)
        axes = PCA(width, svd_solver="arpack", random_state=seed)
        self._near_NK = nearest_neighbours(axes.fit_transform(logs_NG), most + 1, seed).indices_NK
        self._summed: tuple[np.ndarray, int, sparse.csr_matrix] | None = None

    def __call__(self, rows_B: np.ndarray, neighbours: int, kappa: float) -> np.ndarray:
        """Return the prior of some cells; `kappa` is the `phi` of `posterior_rates`."""
        return posterior_rates(self._means_1G, self.sum_near(rows_B, neighbours).toarray(), kappa)

    def sum_near(self, rows_B: np.ndarray, neighbours: int) -> sparse.csr_matrix:
        """Sum the neighbours' counts; the last result is cached, since a grid search repeats the call."""
        last = self._summed
        if last is None or last[1] != neighbours or not np.array_equal(last[0], rows_B):
            near_BK = self._near_NK[rows_B, 1 : neighbours + 1]
            ends = np.arange(len(rows_B) + 1) * near_BK.shape[1]
            ones = np.ones(near_BK.size, dtype=np.float32)
            shape = (len(rows_B), self._counts_NG.shape[0])
            who_BN = sparse.csr_matrix((ones, near_BK.ravel(), ends), shape=shape)
            last = self._summed = rows_B, neighbours, who_BN @ self._counts_NG
        return last[2]


class SingularVectors:
    """Low-rank shares, averaged half and half with the gene means.

    The SVD is of the square roots of the shares, whose noise is similar for all genes; negative entries
    become 0, and the squares are normalised to sum to one.

    Parameters
    ----------
    counts_NG
        Integer counts.
    most
        Highest rank.
    seed
        Seed of the solver's start.
    """

    def __init__(self, counts_NG: sparse.csr_matrix, most: int, seed: int = 0) -> None:
        self._means_G = gene_means(counts_NG).astype(np.float32)
        totals_N = np.asarray(counts_NG.sum(axis=1)).ravel()
        roots_NG = _scale_rows(counts_NG, 1 / np.maximum(totals_N, 1))
        roots_NG.data = np.sqrt(roots_NG.data)
        rank = min(most, min(counts_NG.shape) - 1)
        first = np.random.default_rng(seed).random(min(counts_NG.shape)).astype(np.float32)
        left_NR, values_R, right_RG = svds(roots_NG, k=rank, v0=first)
        order = np.argsort(-values_R)
        self._left_NR, self._right_RG = (left_NR * values_R)[:, order], right_RG[order]

    def __call__(self, rows_B: np.ndarray, rank: int) -> np.ndarray:
        """Return the prior of some cells."""
        shares_BG = np.maximum(self._left_NR[rows_B, :rank] @ self._right_RG[:rank], 0)
        shares_BG *= shares_BG
        totals_B1 = shares_BG.sum(axis=1, keepdims=True)
        shares_BG *= np.divide(HALF, totals_B1, out=np.zeros_like(totals_B1), where=totals_B1 > 0)
        # A cell whose shares are all zero gets the gene means.
        shares_BG += np.where(totals_B1 > 0, HALF, 1).astype(np.float32) * self._means_G
        return shares_BG


def _scale_rows(counts_NG: sparse.csr_matrix, scale_N: np.ndarray) -> sparse.csr_matrix:
    scaled = counts_NG.astype(np.float32)
    scaled.data *= np.repeat(scale_N, np.diff(counts_NG.indptr)).astype(np.float32)
    return scaled
