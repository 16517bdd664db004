"""Several modalities in one sequence: kinds of tokens, joined cells, partial views, and values.

A token's id belongs to one modality: proteins are called ``protein:…``, peaks ``peak:…``, all other
rows are genes. Legend: N or B cells, L tokens, V vocabulary, P features, M kinds, special tokens
being kind 0.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import Tensor

from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens.batches import PAD_BIN, Batch
from sc_mamba2.tokens.tokenized import TokenizedCells, offsets_of

KINDS = ("special", "rna", "protein", "atac")
_PREFIXES = {"protein:": 2, "peak:": 3}


def kinds_of(vocabulary: Vocabulary) -> np.ndarray:
    """Return the kind of every row of a vocabulary, (V,) int64, an index into `KINDS`."""
    kind_V = np.zeros(vocabulary.size, dtype=np.int64)
    kind_V[vocabulary.gene_rows] = 1
    for row in vocabulary.gene_rows:
        head, colon, _ = vocabulary.ids[row].partition(":")
        if colon:
            kind_V[row] = _PREFIXES[head + colon]
    return kind_V


def grown_vocabulary(source: Vocabulary, ids: list[str], symbols: list[str]) -> Vocabulary:
    """Return a vocabulary with new rows appended."""
    name = f"{source.name}+{len(ids)}"
    return Vocabulary(name, source.ids + tuple(ids), source.symbols + tuple(symbols))


def join_tokens(parts: list[TokenizedCells], obs: pd.DataFrame) -> TokenizedCells:
    """Concatenate the tokens of several modalities, cell by cell.

    Parameters
    ----------
    parts
        The same N cells in the same order; a cell without a modality has no token there. Within a
        cell the tokens of the first part come first.
    obs
        Table of the cells, kept with the tokens.
    """
    cells = np.concatenate([np.repeat(np.arange(len(part)), part.lengths) for part in parts])
    order = np.argsort(cells, kind="stable")
    lengths = np.sum([part.lengths for part in parts], axis=0)
    return TokenizedCells(
        gene_rows=np.concatenate([part.gene_rows for part in parts])[order],
        bins=np.concatenate([part.bins for part in parts])[order],
        values=np.concatenate([part.values for part in parts])[order],
        offsets=offsets_of(lengths),
        obs=obs,
    )


def visible_part(batch: Batch, kind_V: Tensor, visible_BM: Tensor, pad_id: int) -> Batch:
    """Return cells with only some modalities visible: the other tokens are removed.

    A cell with a hidden modality equals, token for token, one that never had it.

    Parameters
    ----------
    batch
        B cells; not changed.
    kind_V
        From `kinds_of`.
    visible_BM
        Bool, whether each kind is visible in the cell; `<cls>` is always kept.
    pad_id
        Id of `<pad>`.
    """
    place_L = torch.arange(batch.token_ids_BL.shape[1], device=batch.token_ids_BL.device)
    real_BL = place_L < batch.lengths_B[:, None]
    kept_BL = real_BL & visible_BM.gather(1, kind_V[batch.token_ids_BL])
    kept_BL[:, 0] = True
    lengths_B = kept_BL.sum(dim=1)
    longest = int(lengths_B.max())
    # Kept tokens first, in their order; positions after them become pads.
    order_BL = (~kept_BL).to(torch.int8).argsort(dim=1, stable=True)[:, :longest]
    pad_BL = place_L[:longest] >= lengths_B[:, None]
    return replace(
        batch,
        token_ids_BL=batch.token_ids_BL.gather(1, order_BL).masked_fill(pad_BL, pad_id),
        bins_BL=batch.bins_BL.gather(1, order_BL).masked_fill(pad_BL, PAD_BIN),
        values_BL=batch.values_BL.gather(1, order_BL).masked_fill(pad_BL, 0),
        lengths_B=lengths_B,
    )


def clr(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Compute the centred log ratio of each cell's protein counts, (N, P) to (N, P) float32.

    ``log(1 + x / g)`` with ``g = exp(mean_p log(1 + x_p))``, the cell's geometric mean with one added to
    every count (Stoeckius et al. 2017, in Seurat's form). Zeros stay zero, nothing is negative.
    """
    values = sparse.csr_matrix(counts, dtype=np.float64, copy=True)
    logs = values.copy()
    logs.data = np.log1p(logs.data)
    mean_N = np.asarray(logs.sum(axis=1)).ravel() / max(1, values.shape[1])
    values.data = np.log1p(values.data / np.repeat(np.exp(mean_N), np.diff(values.indptr)))
    return sparse.csr_matrix(values, dtype=np.float32)


def inverse_document_frequency(binary: sparse.csr_matrix) -> np.ndarray:
    """Return the weight of each peak: number of cells over cells in which it is open, (P,) float32.

    A peak that is open in no cell counts as open in one.
    """
    open_P = np.maximum(1, binary.getnnz(axis=0))
    return (binary.shape[0] / open_P).astype(np.float32)


def tf_idf(binary: sparse.csr_matrix, weight_P: np.ndarray) -> sparse.csr_matrix:
    """Weight open peaks: ``log(1 + 10,000 w_p / n)`` with n the cell's open peaks; (N, P) float32.

    The form of Stuart et al. 2021 (Signac): term frequency times inverse document frequency, then the
    logarithm. `weight_P` is from `inverse_document_frequency`, computed once on training cells.
    """
    values = sparse.csr_matrix(binary, dtype=np.float32, copy=True)
    open_N = np.diff(values.indptr)
    term = np.repeat(1e4 / np.maximum(1, open_N), open_N)
    values.data = np.log1p(term * weight_P[values.indices]).astype(np.float32)
    return values
