"""Values of modalities other than RNA, as their tokens carry them: CLR of proteins, TF-IDF of peaks.

Arrays in, arrays out. Each is a function of one cell, but for the weights of TF-IDF, which are learnt
once from training cells and kept with the model. N cells, P features.
"""

import numpy as np
from scipy import sparse

SCALE = 1e4


def clr(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Take the centred log ratio of each cell's protein counts.

    ``log(1 + x / g)`` with ``g = exp(mean_p log(1 + x_p))``, the cell's geometric mean with one added to
    every count (Stoeckius et al. 2017, in the form of Seurat). Zeros stay zero, nothing is negative.

    Parameters
    ----------
    counts
        (N, P) counts, not negative.

    Returns
    -------
    csr_matrix
        (N, P) float32.
    """
    values = sparse.csr_matrix(counts, dtype=np.float64, copy=True)
    logs = values.copy()
    logs.data = np.log1p(logs.data)
    mean_N = np.asarray(logs.sum(axis=1)).ravel() / max(1, values.shape[1])
    values.data = np.log1p(values.data / np.repeat(np.exp(mean_N), np.diff(values.indptr)))
    return sparse.csr_matrix(values, dtype=np.float32)


def inverse_document_frequency(binary: sparse.csr_matrix) -> np.ndarray:
    """Return the weight of each peak: cells over cells in which it is open, (P,) float32.

    A peak that is open in no cell counts as open in one.
    """
    open_P = np.maximum(1, binary.getnnz(axis=0))
    return (binary.shape[0] / open_P).astype(np.float32)


def tf_idf(binary: sparse.csr_matrix, weight_P: np.ndarray) -> sparse.csr_matrix:
    """Weigh open peaks: ``log(1 + 10,000 w_p / n)``, n being the cell's open peaks.

    The form of Stuart et al. 2021 (Signac): term frequency times inverse document frequency, then the
    logarithm.

    Parameters
    ----------
    binary
        (N, P) zeros and ones.
    weight_P
        From `inverse_document_frequency`.

    Returns
    -------
    csr_matrix
        (N, P) float32.
    """
    values = sparse.csr_matrix(binary, dtype=np.float32, copy=True)
    open_N = np.diff(values.indptr)
    term = np.repeat(SCALE / np.maximum(1, open_N), open_N)
    values.data = np.log1p(term * weight_P[values.indices]).astype(np.float32)
    return values
