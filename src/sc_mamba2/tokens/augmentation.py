"""Random changes to tokens in fine-tuning: gene dropout, thinning, and hidden tokens.

In pretraining `masking` hides tokens, and also makes the targets.
"""

from dataclasses import replace

import numpy as np
import torch

from sc_mamba2.tokens.batches import Batch
from sc_mamba2.tokens.binning import bins_of, rank_cells
from sc_mamba2.tokens.counts import estimate_counts
from sc_mamba2.tokens.hashing import as_uniform, hash_of
from sc_mamba2.tokens.masking import MASK_BIN
from sc_mamba2.tokens.options import TokenizerRules
from sc_mamba2.tokens.tokenized import TokenizedCells, offsets_of

_DROPOUT = 1  # separate from the random stream of the order of cells


def drop_genes(tokens: TokenizedCells, share: float, seed: int, epoch: int) -> TokenizedCells:
    """Drop a random share of every cell's genes, different ones in every epoch.

    A pure function of its arguments. The remaining values are divided by ``1 - share``, so that
    their expected sum is unchanged; bins are unchanged. The share is 0 to below 1.
    """
    if not share:
        return tokens
    generator = np.random.default_rng([seed, epoch, _DROPOUT])
    kept = generator.random(len(tokens.gene_rows)) >= share
    left = tokens.keep(kept)
    return replace(left, values=left.values / np.float32(1 - share))


_THINNING = 2  # separate from the random streams of gene dropout and of the order of cells


def thin_cells(
    tokens: TokenizedCells, least_depth: float, rules: TokenizerRules, seed: int, epoch: int
) -> TokenizedCells:
    """Resample every cell at a share of its depth, as if it had been sequenced less deeply.

    The share p of a cell is drawn uniformly from `least_depth` (above 0; 1 changes nothing) to 1. Each molecule
    of a count c from `estimate_counts` is kept with probability p, ``c' ~ Binomial(c, p)``; genes left without
    counts are dropped, mostly weakly expressed ones. With ``x = exp(v) - 1`` the new value is
    ``log(1 + x c' / (c p))``, that of a cell whose total is p times as large; bins are recomputed by the
    rules. Genes stay in their order. A pure function of its arguments.

    In a cell truncated at the maximum length, bins are based on the genes that were kept.
    """
    if least_depth == 1 or not len(tokens.values):
        return tokens
    generator = np.random.default_rng([seed, epoch, _THINNING])
    lengths = tokens.lengths
    share = np.repeat(generator.uniform(least_depth, 1, len(tokens)), lengths)
    x = np.expm1(tokens.values.astype(np.float64))
    counts = estimate_counts(tokens.values, tokens.offsets)
    left = generator.binomial(counts, share)
    kept = left > 0
    values = np.log1p(x * left / (counts * share))[kept].astype(np.float32)
    offsets = offsets_of(kept)[tokens.offsets]
    return replace(
        tokens,
        gene_rows=tokens.gene_rows[kept],
        bins=bins_of(values, offsets, rank_cells(values, offsets), rules),
        values=values,
        offsets=offsets,
    )


_HIDING = 71  # separate from other random streams over the same cells


def hide_tokens(batch: Batch, share: float, by_chance: bool) -> Batch:
    """Hide a share of every cell's genes from a task's model during training.

    Parameters
    ----------
    batch
        Cells with all their expressed genes; not changed.
    share
        Probability that a gene is hidden, 0 to below 1.
    by_chance
        Whether to draw from torch's generator at each call; otherwise the choice is a function of
        the cell's position and the gene, the same at every call.

    Returns
    -------
    Batch
        Hidden genes have the mask bin and the value 0; the other values are divided by
        ``1 - share``, so that their expected sum is unchanged. `<cls>` is never hidden.
    """
    if not share:
        return batch
    if by_chance:
        chance_BL = torch.rand(batch.values_BL.shape, device=batch.values_BL.device)
    else:
        ids_BL, cells_B = batch.token_ids_BL.cpu().numpy(), batch.cells_B.cpu().numpy()
        drawn_BL = as_uniform(hash_of(_HIDING, cells_B[:, None], ids_BL))
        chance_BL = torch.from_numpy(drawn_BL).to(batch.values_BL)
    # A gene's bin is at least 1: pads and <cls> have no value to hide.
    hidden_BL = (chance_BL < share) & (batch.bins_BL > 0)
    return replace(
        batch,
        bins_BL=batch.bins_BL.masked_fill(hidden_BL, MASK_BIN),
        values_BL=batch.values_BL.masked_fill(hidden_BL, 0) / (1 - share),
    )
