"""Cells with a modality of other cells: what does not change then has not looked at it."""

import numpy as np

from sc_mamba2.tasks.multiomics.design import has
from sc_mamba2.tokens import KINDS, TokenizedCells, join_tokens


def shuffle_modality(
    tokens: TokenizedCells, kind: str, kind_V: np.ndarray, seed: int
) -> TokenizedCells:
    """Give every cell that has a modality that of another one, by chance."""
    own = kind_V[tokens.gene_rows] == KINDS.index(kind)
    order = np.arange(len(tokens))
    have = np.flatnonzero(tokens.obs[has(kind)].to_numpy(bool))
    order[have] = np.random.default_rng(seed).permutation(have)
    moved = tokens.keep(own).take(order)
    return join_tokens([tokens.keep(~own), moved], tokens.obs)
