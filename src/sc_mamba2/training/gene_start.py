"""Starts from the cells: gene embeddings by a truncated SVD, heads at what is told of any cell."""

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import svds
from torch import nn

from sc_mamba2.model import PretrainedModel
from sc_mamba2.tokens import Ragged


def start_heads(model: PretrainedModel, cells: Ragged) -> None:
    """Start the biases of the heads at what can be told without looking at a cell, in place.

    The gene decoder at the logarithm of each gene's share of the entries (with half an entry more
    than there is), the expression decoder at the mean bin.

    Parameters
    ----------
    model
        With both heads.
    cells
        Entries of some cells, in rows of the vocabulary.
    """
    assert model.gene_decoder is not None and model.expression_decoder is not None
    counts_V = np.bincount(cells.gene_rows, minlength=model.backbone.config.vocabulary_size) + 0.5
    last = model.expression_decoder.fc[-1]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        model.gene_decoder.bias_V.copy_(torch.from_numpy(np.log(counts_V / counts_V.sum())))
        last.bias.fill_(float(cells.bins.mean()) if len(cells.bins) else 0.0)


def start_genes(embedding: nn.Embedding, cells: Ragged, scale: float, seed: int) -> None:
    """Start gene embeddings from a truncated SVD of log-normalised values, in place.

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
        Of the vector that the iteration begins with.
    """
    size, width = embedding.weight.shape
    # In double precision: near-equal singular values would turn on another machine's rounding.
    matrix = sparse.csr_matrix(
        (cells.values.astype(np.float64), cells.gene_rows.astype(np.int64), cells.offsets),
        shape=(len(cells.offsets) - 1, size),
    )
    seen = np.flatnonzero(matrix.getnnz(axis=0))
    matrix = matrix[:, seen]
    directions = min(width, min(matrix.shape) - 1)
    if directions < 1:
        return
    first = np.random.default_rng(seed).standard_normal(min(matrix.shape))
    _, values_R, vectors_RV = svds(matrix, k=directions, v0=first)
    # The sign of a direction is free: let its largest entry be positive.
    largest = np.abs(vectors_RV).argmax(axis=1)
    vectors_RV = vectors_RV * np.sign(vectors_RV[np.arange(directions), largest])[:, None]
    start_VR = (np.sqrt(np.maximum(values_R, 0))[:, None] * vectors_RV)[::-1].T
    start_VR = start_VR * (scale / max(float(np.sqrt((start_VR**2).mean())), 1e-12))
    with torch.no_grad():
        embedding.weight[torch.from_numpy(seen), :directions] = torch.from_numpy(start_VR).to(
            embedding.weight.dtype
        )
