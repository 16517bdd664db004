"""Thinning: every epoch sees each cell as a shallower sequencing might have seen it."""

from dataclasses import replace

import numpy as np

from sc_mamba2.tokens.binning import bin_cells, rank_cells
from sc_mamba2.tokens.tokenized import TokenizedCells, offsets_of

_STREAM = 2  # keeps this chance apart from that of gene dropout and of the order of cells


def thin_cells(
    tokens: TokenizedCells, least_depth: float, n_bins: int, seed: int, epoch: int
) -> TokenizedCells:
    """Draw every cell again at a share of its depth.

    The share p of a cell is drawn uniformly from `least_depth` to 1. Tokens hold log-normalised
    values, no counts, so these are estimated: with ``x = exp(v) - 1``, the cell's smallest x is one
    count, and a gene has ``c = round(x / min x)``. A count stays with probability p, ``c' ~
    Binomial(c, p)``; a gene without counts is left out, so that the weakly expressed go first. The
    new value is ``log(1 + x c' / (c p))``, that of a cell whose total is p times as large; bins are
    taken anew, by the cell's own quantiles. A pure function of its arguments.

    The estimate is exact where some gene of the cell has one count, as nearly always in sparse
    droplet data; where none has, the cell is taken as shallower than it was. In a cell that was cut to
    the longest length the bins are those of the genes that were kept.

    Parameters
    ----------
    tokens
        N cells.
    least_depth
        Smallest share of its depth that a cell keeps, above 0 to 1; 1 changes nothing.
    n_bins
        Number of bins with the bin of zero.
    seed, epoch
        Not negative.

    Returns
    -------
    TokenizedCells
        The same cells; their genes stay in the order in which they stood.
    """
    if least_depth == 1 or not len(tokens.values):
        return tokens
    generator = np.random.default_rng([seed, epoch, _STREAM])
    lengths = tokens.lengths
    share = np.repeat(generator.uniform(least_depth, 1, len(tokens)), lengths)
    x = np.expm1(tokens.values.astype(np.float64))
    one = np.minimum.reduceat(x, tokens.offsets[:-1][lengths > 0])
    counts = np.rint(x / np.repeat(one, lengths[lengths > 0])).astype(np.int64)
    left = generator.binomial(counts, share)
    kept = left > 0
    values = np.log1p(x * left / (counts * share))[kept].astype(np.float32)
    offsets = offsets_of(kept)[tokens.offsets]
    return replace(
        tokens,
        gene_rows=tokens.gene_rows[kept],
        bins=bin_cells(values, offsets, rank_cells(values, offsets), n_bins),
        values=values,
        offsets=offsets,
    )
