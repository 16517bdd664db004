"""Principal components of sparse values without the batches' shifts: where an embedding may start.

Legend: N cells, V vocabulary, R components, K batches.
"""

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import LinearOperator

from sc_mamba2.training.gene_start import singular_vectors


def components(
    values_NV: sparse.csr_matrix, codes_N: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute principal components of values from which the mean of each batch is taken.

    Parameters
    ----------
    values_NV
        Values, sparse; they are never made dense.
    codes_N
        Batches, 0 to K - 1.
    count
        Components at most.
    seed
        Seed of the vector that the iteration begins with.

    Returns
    -------
    scores_NR, loadings_RV
        ``U S`` and ``V`` of the singular value decomposition, largest first; R is smaller than
        `count` where the values have fewer directions.
    """
    cells, genes = values_NV.shape
    batches = int(codes_N.max()) + 1
    member_KN = sparse.csr_matrix((np.ones(cells), (codes_N, np.arange(cells))), (batches, cells))
    mean_KV = (member_KN @ values_NV).toarray() / member_KN.sum(axis=1).A
    centred = LinearOperator(
        (cells, genes),
        matvec=lambda v: values_NV @ v.ravel() - (mean_KV @ v.ravel())[codes_N],
        rmatvec=lambda u: values_NV.T @ u.ravel() - mean_KV.T @ (member_KN @ u.ravel()),
        dtype=np.float64,
    )
    count = min(count, min(cells, genes) - 1)
    left_NR, values_R, loadings_VR = singular_vectors(centred, count, seed)
    some = values_R > 1e-8 * max(values_R.max(), 1e-300)
    return (left_NR * values_R)[:, some], loadings_VR.T[some]
