"""The tokens of a control cell that is to be perturbed: the perturbed genes are always among them.

Legend: B cells, L tokens, J genes of a perturbation.
"""

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from sc_mamba2.tokens import Batch
from sc_mamba2.tokens.batches import PAD_BIN

NO_GENE = -1


def with_perturbed_genes(batch: Batch, genes_BJ: Tensor, pad_id: int) -> tuple[Batch, Tensor]:
    """Put the perturbed genes among the tokens, and tell which tokens they are.

    A perturbed gene that the cell does not express, or that a limit of length has cut, becomes a
    token of bin 0 in its place of the vocabulary's order.

    Parameters
    ----------
    batch
        B cells, with their genes in the vocabulary's order.
    genes_BJ
        Rows of the vocabulary, `NO_GENE` where a cell has fewer perturbed genes.
    pad_id
        Row of `<pad>`.

    Returns
    -------
    batch
        The cells with J more columns at most.
    perturbed_BL
        bool, true at perturbed genes.
    """
    present_BJ = (batch.token_ids_BL[:, None, 1:] == genes_BJ[:, :, None]).any(dim=-1)
    # A gene that is named twice is put in once.
    repeated_BJ = torch.stack(
        [(genes_BJ[:, :at] == genes_BJ[:, at, None]).any(dim=1) for at in range(genes_BJ.shape[1])],
        dim=1,
    )
    new_BJ = (genes_BJ != NO_GENE) & ~present_BJ & ~repeated_BJ
    extra_BJ = torch.where(new_BJ, genes_BJ, pad_id)
    ids_BL = torch.cat([batch.token_ids_BL, extra_BJ], dim=1)
    bins_BL = torch.cat([batch.bins_BL, torch.where(new_BJ, 0.0, PAD_BIN)], dim=1)
    values_BL = F.pad(batch.values_BL, (0, genes_BJ.shape[1]))
    lengths_B = batch.lengths_B + new_BJ.sum(dim=1)
    far = torch.iinfo(torch.int64).max
    keys_BL = torch.where(ids_BL == pad_id, far, ids_BL)
    keys_BL[:, 0] = -1  # <cls> stays first whatever its row is
    order_BL = keys_BL.argsort(dim=1, stable=True)[:, : int(lengths_B.max())]
    ids_BL = ids_BL.gather(1, order_BL)
    perturbed_BL = (ids_BL[:, :, None] == genes_BJ[:, None, :]).any(dim=-1)
    perturbed_BL[:, 0] = False
    whole = replace(
        batch,
        token_ids_BL=ids_BL,
        bins_BL=bins_BL.gather(1, order_BL),
        values_BL=values_BL.gather(1, order_BL),
        lengths_B=lengths_B,
    )
    return whole, perturbed_BL
