"""Principal components of sparse values: initial embeddings of cells and genes, and of the heads.

Legend: N cells, V vocabulary, R components, K batches.
"""

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, svds
from torch import Tensor, nn

from sc_mamba2.model import PretrainedModel
from sc_mamba2.tokens import Ragged, TokenizedCells, as_matrix


def start_heads(model: PretrainedModel, cells: Ragged) -> None:
    """Initialise the biases of the heads to averages over some cells, in place.

    The gene decoder starts at the log share of each gene among the entries, the molecule decoder at its log
    share among the molecules (both with a pseudocount of 0.5), the expression decoder at the mean bin.
    """
    size = model.backbone.config.vocabulary_size
    with torch.no_grad():
        if model.gene_decoder is not None:
            model.gene_decoder.bias_V.copy_(
                _log_shares(np.bincount(cells.gene_rows, minlength=size))
            )
        if model.molecule_decoder is not None:
            molecules_V = np.bincount(cells.gene_rows, cells.bins, minlength=size)
            model.molecule_decoder.rates.bias.copy_(_log_shares(molecules_V))
        if model.expression_decoder is not None:
            last = model.expression_decoder.fc[-1]
            assert isinstance(last, nn.Linear)
            last.bias.fill_(float(cells.bins.mean()) if len(cells.bins) else 0.0)


def _log_shares(counts_V: np.ndarray) -> Tensor:
    return torch.from_numpy(np.log((counts_V + 0.5) / (counts_V + 0.5).sum()))


def start_genes(
    embedding: nn.Embedding, cells: Ragged | TokenizedCells, scale: float, seed: int
) -> None:
    """Initialise gene embeddings from a truncated SVD of log-normalised values, in place.

    With ``values = U S V``, gene g starts at ``sqrt(S) V[:, g]``, scaled to a root mean square of
    `scale`, so that the sum of value times embedding is a principal-component score.

    Parameters
    ----------
    embedding
        (V, D); rows of unexpressed genes and dimensions beyond the rank stay unchanged.
    cells
        Entries of some cells, in rows of the embedding.
    scale
        Root mean square of the written values, above 0.
    seed
        Seed of the iteration's start vector.
    """
    size, width = embedding.weight.shape
    matrix = as_matrix(cells, size)
    seen = np.flatnonzero(matrix.getnnz(axis=0))
    directions = min(width, len(cells.offsets) - 2, len(seen) - 1)
    if directions < 1:
        return
    _, values_R, loadings_VR = singular_vectors(matrix[:, seen], directions, seed)
    start_VR = np.sqrt(values_R) * loadings_VR
    start_VR *= scale / max(float(np.sqrt((start_VR**2).mean())), 1e-12)
    with torch.no_grad():
        embedding.weight[torch.from_numpy(seen), :directions] = torch.from_numpy(start_VR).to(
            embedding.weight.dtype
        )


def singular_vectors(
    matrix: sparse.csr_matrix | LinearOperator, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the `count` largest singular values and their vectors, deterministically.

    ``matrix = left_NR diag(values_R) right_VR.T``, largest first. Signs are chosen so that the entry of
    largest magnitude of each right vector is positive. `count` must be below both sides of the matrix.
    """
    first = np.random.default_rng(seed).standard_normal(min(matrix.shape))
    left_NR, values_R, right_RV = svds(matrix, k=count, v0=first)
    order = np.argsort(values_R)[::-1]
    signs_R = np.sign(right_RV[np.arange(count), np.abs(right_RV).argmax(axis=1)])
    left_NR, right_VR = left_NR * signs_R, right_RV.T * signs_R
    return left_NR[:, order], np.maximum(values_R[order], 0), right_VR[:, order]


def components(
    values_NV: sparse.csr_matrix, codes_N: np.ndarray, count: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute principal components of values centred within each batch.

    Parameters
    ----------
    values_NV
        Sparse values, never made dense.
    codes_N
        Batches, 0 to K - 1.
    count
        Most components.
    seed
        Seed of the iteration's start vector.

    Returns
    -------
    scores_NR, loadings_RV
        ``U S`` and ``V`` of the singular value decomposition, largest first; R is below `count` if the
        rank is.
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
