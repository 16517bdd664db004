"""Principal components of sparse values as a reusable map for new cells; genes scaled or not.

Legend: N cells, V genes, G chosen genes, D components.
"""

from dataclasses import dataclass

import numpy as np
import scanpy as sc
from scipy import sparse

MAX_DEVIATIONS = 10.0  # scanpy's and Seurat's usual limit of a scaled value
_NO_LIMIT = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Projection:
    """A linear map of log-normalised values: ``min(x * weight, limit) @ loadings - centre``.

    Attributes
    ----------
    weight_V
        1 for unscaled genes, ``1 / s`` for scaled ones (s: standard deviation), 0 for those not chosen.
    limit_V
        Upper limit of scaled values, shifted by the mean: ``(m + 10 s) / s``; huge for unscaled genes.
    loadings_VD
        0 in the rows of genes not chosen.
    centre_D
        Components of the mean cell.
    """

    weight_V: np.ndarray
    limit_V: np.ndarray
    loadings_VD: np.ndarray
    centre_D: np.ndarray

    def __call__(self, values_NV: sparse.csr_matrix) -> np.ndarray:
        """Return the components of cells, (N, D) float32."""
        scaled_NV = _scaled(values_NV, self.weight_V, self.limit_V)
        return (scaled_NV @ self.loadings_VD - self.centre_D).astype(np.float32)


def fit_projection(
    values_NV: sparse.csr_matrix,
    chosen_G: np.ndarray,
    components: int,
    scaled: bool,
    seed: int = 0,
) -> Projection:
    """Fit principal components of some genes.

    Genes are not centred before, so that scaled values stay sparse: PCA centres them anyway. The result is
    that of scanpy's ``scale(max_value=10)`` and ``pca``.

    Parameters
    ----------
    values_NV
        log1p(CP10K), sparse; at least two cells.
    chosen_G
        Columns, at least two.
    components
        D, at most one below the number of cells and of genes.
    scaled
        Whether to scale each gene to unit variance, clipped at ten standard deviations above the mean.
    seed
        Seed of the solver's start.
    """
    size = values_NV.shape[1]
    weight_V, limit_V = np.zeros(size), np.full(size, _NO_LIMIT)
    weight_V[chosen_G] = 1
    if scaled:
        own = values_NV[:, chosen_G]
        mean_G = np.asarray(own.mean(axis=0)).ravel()
        square_G = np.asarray(own.multiply(own).mean(axis=0)).ravel()
        cells = len(own.indptr) - 1
        spread_G = np.sqrt(np.maximum(square_G - mean_G**2, 0) * cells / (cells - 1))
        spread_G[spread_G == 0] = 1
        weight_V[chosen_G] = 1 / spread_G
        limit_V[chosen_G] = mean_G / spread_G + MAX_DEVIATIONS
    scaled_NG = _scaled(values_NV, weight_V, limit_V)[:, chosen_G]
    components = min(components, min(scaled_NG.shape) - 1)
    assert components >= 1
    _, loadings_DG, _, _ = sc.pp.pca(
        scaled_NG, n_comps=components, random_state=seed, return_info=True
    )
    loadings_VD = np.zeros((size, components), np.float32)
    loadings_VD[chosen_G] = loadings_DG.T
    centre_D = np.asarray(scaled_NG.mean(axis=0)).ravel() @ loadings_DG.T
    return Projection(weight_V, limit_V, loadings_VD, centre_D)


def _scaled(
    values_NV: sparse.csr_matrix, weight_V: np.ndarray, limit_V: np.ndarray
) -> sparse.csr_matrix:
    """Scale and clip the stored entries; zeros stay zero."""
    cut = np.minimum(
        values_NV.data * weight_V[values_NV.indices], limit_V[values_NV.indices]
    ).astype(np.float32)
    return sparse.csr_matrix((cut, values_NV.indices, values_NV.indptr), shape=values_NV.shape)
