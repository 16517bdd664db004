"""Tokens for annotation, with label, batch and total counts of each cell."""

import numpy as np
from anndata import AnnData
from scipy import sparse

from sc_mamba2.cells import keys
from sc_mamba2.cells.scale import CELL_TOTAL
from sc_mamba2.genes import Vocabulary
from sc_mamba2.tasks.annotation.annotator import TOTAL
from sc_mamba2.tasks.shared.tokenization import tokenize_cells
from sc_mamba2.tokens import TokenizedCells, Tokenizer, as_matrix


def annotation_tokens(
    valid_cells: AnnData, tokenizer: Tokenizer, with_obs: bool = True
) -> TokenizedCells:
    """Tokenize cells, with their total counts in `obs` (see `totals`)."""
    tokens = tokenize_cells(valid_cells, tokenizer, with_obs)
    tokens.obs[TOTAL] = totals(valid_cells)
    return tokens


def read_anew(
    tokens: TokenizedCells, vocabulary: Vocabulary, tokenizer: Tokenizer
) -> TokenizedCells:
    """Tokenize again, by a tokenizer for some of a vocabulary's genes, tokens of all of them."""
    values_NV = as_matrix(tokens, vocabulary.size)
    return tokenizer.tokenize(values_NV, np.asarray(vocabulary.ids), tokens.obs)


def totals(valid_cells: AnnData) -> np.ndarray:
    """Return the total by which each cell's counts were divided, (N,); NaN without integer counts.

    From ``X = log1p(10,000 counts / total)`` follows ``total = 10,000 sum(counts) / sum(expm1(X))``; it may
    include counts of genes that were dropped.
    """
    cells = valid_cells.n_obs
    counts = valid_cells.layers.get(keys.COUNTS_LAYER)
    if counts is None:
        return np.full(cells, np.nan)
    counts = sparse.csr_matrix(counts, dtype=np.float64)
    if (counts.data % 1 != 0).any():
        return np.full(cells, np.nan)
    whole_N = np.asarray(counts.sum(axis=1)).ravel()
    shares_N = np.asarray(sparse.csr_matrix(valid_cells.X, dtype=np.float64).expm1().sum(axis=1))
    shares_N = shares_N.ravel()
    return np.divide(whole_N, shares_N, out=np.zeros(cells), where=shares_N > 0) * CELL_TOTAL
