"""Gene dropout: every epoch sees another random part of each cell's genes."""

from dataclasses import replace

import numpy as np

from sc_mamba2.tokens.tokenized import TokenizedCells

_STREAM = 1  # keeps this chance apart from that of the order of cells


def drop_genes(tokens: TokenizedCells, share: float, seed: int, epoch: int) -> TokenizedCells:
    """Leave out a share of every cell's genes, by chance.

    A pure function of its arguments. The values that stay are divided by ``1 - share``, so that
    their expected sum is unchanged; bins stay as they are.

    Parameters
    ----------
    tokens
        N cells.
    share
        Probability of a gene to be left out, 0 to below 1.
    seed, epoch
        Not negative.

    Returns
    -------
    TokenizedCells
        The same cells with fewer genes each.
    """
    if not share:
        return tokens
    generator = np.random.default_rng([seed, epoch, _STREAM])
    kept = generator.random(len(tokens.gene_rows)) >= share
    left = tokens.keep(kept)
    return replace(left, values=left.values / np.float32(1 - share))
