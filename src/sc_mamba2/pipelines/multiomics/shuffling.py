"""Cells with a modality of other cells: what does not change then has not looked at it."""

import numpy as np

from sc_mamba2.pipelines.multiomics.design import has
from sc_mamba2.tokens import KINDS, TokenizedCells, join_tokens
from sc_mamba2.tokens.tokenized import offsets_of


def shuffle_modality(
    tokens: TokenizedCells, kind: str, kind_V: np.ndarray, seed: int
) -> TokenizedCells:
    """Give every cell that has a modality that of another one, by chance."""
    own = kind_V[tokens.gene_rows] == KINDS.index(kind)
    order = np.arange(len(tokens))
    have = np.flatnonzero(tokens.obs[has(kind)].to_numpy(bool))
    order[have] = np.random.default_rng(seed).permutation(have)
    moved = _part(tokens, own).take(order)
    return join_tokens([_part(tokens, ~own), moved], tokens.obs)


def _part(tokens: TokenizedCells, kept: np.ndarray) -> TokenizedCells:
    return TokenizedCells(
        tokens.gene_rows[kept],
        tokens.bins[kept],
        tokens.values[kept],
        offsets_of(kept)[tokens.offsets],
        tokens.obs,
    )
