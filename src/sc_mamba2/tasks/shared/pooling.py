"""From the vectors of a cell's tokens to one embedding of the cell: the readouts.

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
        vector of the cell's genes, zero where it has none. ``pooled``: the sum of gene embeddings,
        each times the log-normalised value, which the Mamba2 layers have no part in.

    Returns
    -------
    Tensor
        (B, R x D). A readout alone stays as it is; of several each is brought to mean 0 and variance 1
        over its own D numbers, so that none outweighs another and no cell depends on its neighbours.
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
    genes_B = (batch.lengths_B - 1).clamp(min=1)  # pads hold zeros
    return hidden_BLD[:, 1:].sum(dim=1) / genes_B.unsqueeze(-1)
