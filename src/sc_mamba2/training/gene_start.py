"""A start for gene embeddings: a truncated SVD of cells x genes."""

import numpy as np
import torch
from torch import Tensor, nn

from sc_mamba2.tokens import Ragged

_POWER_STEPS = 4


def start_genes(embedding: nn.Embedding, cells: Ragged, scale: float, seed: int) -> None:
    """Start gene embeddings from a randomised SVD of log-normalised values, in place.

    With ``values = U S V``, gene g starts at ``sqrt(S) V[:, g]``, scaled to a root mean square of
    `scale`, so that the sum of value times embedding is a principal-component score.

    Parameters
    ----------
    embedding
        (V, D); rows whose gene no cell expresses, and directions beyond the rank, stay as they are.
    cells
        Entries of some cells, in rows of the embedding.
    scale
        Root mean square of what is written, above 0.
    seed
        Of the random projections.
    """
    size, width = embedding.weight.shape
    matrix_NV = torch.sparse_csr_tensor(
        torch.from_numpy(cells.offsets.astype(np.int64)),
        torch.from_numpy(cells.gene_rows.astype(np.int64)),
        # In double precision: near-equal singular values would turn on another machine's rounding.
        torch.from_numpy(cells.values.astype(np.float64)),
        size=(len(cells.offsets) - 1, size),
    )
    directions = min(width, len(cells.offsets) - 2)
    if directions < 1:
        return
    values_R, vectors_VR = _leading(matrix_NV, directions, seed)
    start_VR = vectors_VR * values_R.sqrt()
    seen = np.unique(cells.gene_rows)
    start_VR *= scale / start_VR[seen].square().mean().sqrt().clamp(min=1e-12)
    with torch.no_grad():
        embedding.weight[seen, :directions] = start_VR[seen].to(embedding.weight.dtype)


def _leading(matrix_NV: Tensor, directions: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    probes = min(directions + 10, *matrix_NV.shape)
    transposed_VN = matrix_NV.to_sparse_coo().t().to_sparse_csr()
    basis_Nq = matrix_NV @ torch.randn(
        matrix_NV.shape[1], probes, dtype=matrix_NV.dtype, generator=generator
    )
    for _ in range(_POWER_STEPS):
        basis_Nq, _ = torch.linalg.qr(basis_Nq)
        back_Vq, _ = torch.linalg.qr(transposed_VN @ basis_Nq)
        basis_Nq = matrix_NV @ back_Vq
    basis_Nq, _ = torch.linalg.qr(basis_Nq)
    _, values_q, vectors_qV = torch.linalg.svd((transposed_VN @ basis_Nq).T, full_matrices=False)
    # The sign of a direction is free: let its largest entry be positive.
    largest = vectors_qV.abs().argmax(dim=1, keepdim=True)
    vectors_qV = vectors_qV * vectors_qV.gather(1, largest).sign()
    return values_q[:directions], vectors_qV[:directions].T
