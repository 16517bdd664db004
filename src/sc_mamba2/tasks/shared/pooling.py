"""Readouts: pool the vectors of a cell's tokens into one cell embedding.

Legend: B cells, L tokens, D width, R readouts.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from sc_mamba2.model import Backbone, sum_of_genes
from sc_mamba2.tasks.shared.params import Readout
from sc_mamba2.tokens import Batch


def pool_cells(backbone: Backbone, batch: Batch, readouts: tuple[Readout, ...]) -> Tensor:
    """Embed the cells of a batch.

    Parameters
    ----------
    backbone
        In evaluation mode.
    batch
        B cells.
    readouts
        R of them, at least one. ``cls``: the hidden vector at `<cls>`. ``mean``: the mean hidden
        vector of the cell's genes, zero if it has none. ``pooled``: the sum of gene embeddings
        weighted by log-normalised value, without the Mamba2 layers.

    Returns
    -------
    Tensor
        (B, R x D). A single readout is not scaled; several are each scaled to mean 0 and variance 1 over
        their D numbers, so that none dominates and no cell depends on the others.
    """
    hidden_BLD = None
    if set(readouts) != {"pooled"}:
        hidden_BLD = backbone(batch.token_ids_BL, batch.bins_BL, batch.lengths_B)
    parts = [_read(name, backbone, batch, hidden_BLD) for name in readouts]
    if len(parts) == 1:
        return parts[0]
    return torch.cat([F.layer_norm(part_BD, part_BD.shape[-1:]) for part_BD in parts], dim=1)


def _read(name: Readout, backbone: Backbone, batch: Batch, hidden_BLD: Tensor | None) -> Tensor:
    if name == "pooled":
        return sum_of_genes(batch, backbone.gene_embedding.weight)
    assert hidden_BLD is not None
    if name == "cls":
        return hidden_BLD[:, 0]
    genes_B = (batch.lengths_B - 1).clamp(min=1)  # padding is zero
    return hidden_BLD[:, 1:].sum(dim=1) / genes_B.unsqueeze(-1)
