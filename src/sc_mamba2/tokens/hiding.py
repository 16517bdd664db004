"""Which of a cell's tokens are hidden from a task's model while it learns to tell them.

Pretraining hides by `masking`, which also makes the targets.
"""

from dataclasses import replace

import torch

from sc_mamba2.tokens.batches import Batch
from sc_mamba2.tokens.hashing import as_uniform, hash_of
from sc_mamba2.tokens.masking import MASK_BIN

_STREAM = 71  # keeps this chance apart from others over the same cells


def hide_tokens(batch: Batch, share: float, by_chance: bool) -> Batch:
    """Hide a share of the genes of every cell.

    Parameters
    ----------
    batch
        Cells with all that they express; not changed.
    share
        Probability of a gene to be hidden, 0 to below 1.
    by_chance
        Whether torch's generator chooses, anew at each call; else the choice is a function of the
        cell's place and the gene, the same at every call.

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
        drawn_BL = as_uniform(hash_of(_STREAM, cells_B[:, None], ids_BL))
        chance_BL = torch.from_numpy(drawn_BL).to(batch.values_BL)
    # A gene's bin is at least 1: pads and <cls> have no value to hide.
    hidden_BL = (chance_BL < share) & (batch.bins_BL > 0)
    return replace(
        batch,
        bins_BL=batch.bins_BL.masked_fill(hidden_BL, MASK_BIN),
        values_BL=batch.values_BL.masked_fill(hidden_BL, 0) / (1 - share),
    )
