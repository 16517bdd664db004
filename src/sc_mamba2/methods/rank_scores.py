"""Normal scores of gene ranks within a cell, robust to sequencing depth and chemistry.

Ranks depend neither on a cell's total nor on any increasing transformation of its values. After Souza &
Mehta (arXiv 2602.16696). Legend: N cells, G genes, F chosen genes, K classes.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import ndtri

_MIN_VARIANCE = 1e-6


@dataclass(frozen=True, eq=False)
class RankScores:
    """``Φ⁻¹(rank / (G + 1))`` of every gene in its cell; ties share their mean rank.

    `floor_N` is the score of a cell's unexpressed genes, `above_NG` the difference of the others from it, as
    sparse as the values.
    """

    above_NG: sparse.csr_matrix
    floor_N: np.ndarray

    def of(self, genes_F: np.ndarray) -> np.ndarray:
        """Return the scores of some genes, (N, F)."""
        return np.asarray(self.above_NG[:, genes_F].toarray() + self.floor_N[:, None])


def rank_scores(values_NG: sparse.csr_matrix) -> RankScores:
    """Rank the genes of every cell; values must not be negative."""
    values_NG = sparse.csr_matrix(values_NG, dtype=np.float64, copy=True)
    values_NG.eliminate_zeros()
    genes = values_NG.shape[1]
    expressed_N = np.diff(values_NG.indptr)
    # The G - n unexpressed genes have the mean rank (G - n + 1) / 2; there may be none.
    floor_N = ndtri(np.maximum(genes - expressed_N + 1, 1) / 2 / (genes + 1))
    for cell, expressed in enumerate(expressed_N):
        row = slice(*values_NG.indptr[cell : cell + 2])
        # Counts have few distinct values: compute rank and score once for each.
        _, which, times = np.unique(values_NG.data[row], return_inverse=True, return_counts=True)
        ranks = (2 * np.cumsum(times) - times + 1) / 2 + genes - expressed
        values_NG.data[row] = (ndtri(ranks / (genes + 1)) - floor_N[cell])[which]
    return RankScores(values_NG, floor_N)


def marker_genes(scores: RankScores, classes_N: np.ndarray, genes_per_class: int) -> np.ndarray:
    """Return the marker genes of all classes, (F,) ascending: the top `genes_per_class` of each against the rest.

    Ranked by Welch's t, ``(m₁ - m₀) / √(v₁ / n₁ + v₀ / n₀)``.
    """
    above_NG, floor_N = scores.above_NG, scores.floor_N
    known, codes_N = np.unique(classes_N, return_inverse=True)
    member_KN = sparse.csr_matrix(
        (np.ones(len(codes_N)), (codes_N, np.arange(len(codes_N)))), (len(known), len(codes_N))
    )
    # Sums of s + f and of (s + f)², with f the cell's floor.
    squares_NG = above_NG.multiply(above_NG) + sparse.diags(2 * floor_N) @ above_NG
    sums_KG = (member_KN @ above_NG).toarray() + (member_KN @ floor_N)[:, None]
    squares_KG = (member_KN @ squares_NG).toarray() + (member_KN @ floor_N**2)[:, None]
    cells_K = np.bincount(codes_N)
    chosen = []
    for own in range(len(known)):
        others = len(codes_N) - cells_K[own]
        if not others:
            continue
        mean_G, spread_G = _moments(sums_KG[own], squares_KG[own], cells_K[own])
        rest = sums_KG.sum(axis=0) - sums_KG[own], squares_KG.sum(axis=0) - squares_KG[own], others
        rest_mean_G, rest_spread_G = _moments(*rest)
        t_G = (mean_G - rest_mean_G) / np.sqrt(spread_G + rest_spread_G + _MIN_VARIANCE)
        chosen.append(np.argsort(-t_G, kind="stable")[:genes_per_class])
    return np.unique(np.concatenate(chosen)) if chosen else np.arange(above_NG.shape[1])


def _moments(sum_G: np.ndarray, squares_G: np.ndarray, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the means and the variances of the means."""
    mean_G = sum_G / cells
    return mean_G, np.maximum(squares_G / cells - mean_G**2, 0) / cells


@dataclass(frozen=True, eq=False)
class DirectionPrototypes:
    """Cosines ``cos(x - c, m_k - c)`` of a cell x with class means m_k, from their centre c.

    c is the mean of the class means, so that large and small classes have the same weight.
    """

    centre_F: np.ndarray
    directions_FK: np.ndarray

    @classmethod
    def fit(
        cls, scores_NF: np.ndarray, classes_N: np.ndarray, n_classes: int
    ) -> "DirectionPrototypes":
        """Fit to cells of the classes 0 to `n_classes` - 1; a class without cells is never predicted."""
        present = np.unique(classes_N)
        means_JF = np.stack([scores_NF[classes_N == known].mean(axis=0) for known in present])
        centre_F = means_JF.mean(axis=0)
        directions_FK = np.zeros((scores_NF.shape[1], n_classes))
        directions_FK[:, present] = _unit_rows(means_JF - centre_F).T
        return cls(centre_F, directions_FK)

    def cosines(self, scores_NF: np.ndarray) -> np.ndarray:
        """Return the cosine of every cell with every class, (N, K), -1 to 1; -1 for classes without cells."""
        cosine_NK = _unit_rows(scores_NF - self.centre_F) @ self.directions_FK
        cosine_NK[:, ~self.directions_FK.any(axis=0)] = -1
        return np.asarray(cosine_NK)


def _unit_rows(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
