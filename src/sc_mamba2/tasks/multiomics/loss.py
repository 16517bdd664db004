"""Parts of the multi-omics loss: visible modalities, reconstruction, alignment.

Legend as in `model`, P features of a modality.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from sc_mamba2.tokens import KINDS, Batch


def draw_visible(present_BM: Tensor, alone_share: float) -> Tensor:
    """Draw the visible modalities of each cell: all that it has, or one of them."""
    chance_BM = torch.rand(present_BM.shape, device=present_BM.device) * present_BM
    one_BM = F.one_hot(chance_BM.argmax(dim=1), present_BM.shape[1]).bool()
    alone_B1 = torch.rand(len(present_BM), 1, device=present_BM.device) < alone_share
    return torch.where(alone_B1, one_BM & present_BM, present_BM)


def reconstruction(
    decoded_BV: Tensor,
    batch: Batch,
    counted_BM: Tensor,
    rows: Mapping[str, Tensor],
    variance_M: Tensor,
) -> Tensor:
    """Return the squared error of the decoded values, summed over modalities, in units of their variance.

    ``sum_m mean((x_m - v_m)^2) / s_m`` over the cells that count for m.

    Parameters
    ----------
    decoded_BV
        Output x of the decoder.
    batch
        The unmasked cells; their values v are the target.
    counted_BM
        Bool, whether a cell counts for a modality.
    rows
        Rows of a modality's features, (P,), by its name.
    variance_M
        s, the mean variance of a modality's features.
    """
    target_BV = torch.zeros_like(decoded_BV).scatter_add_(
        1, batch.token_ids_BL, batch.values_BL.to(decoded_BV)
    )
    squares_BV = (decoded_BV - target_BV).square()
    total = decoded_BV.new_zeros(())
    for kind, rows_P in rows.items():
        place = KINDS.index(kind)
        have_B = counted_BM[:, place].to(squares_BV)
        errors_B = squares_BV[:, rows_P].mean(dim=1)
        share = (errors_B * have_B).sum() / have_B.sum().clamp(min=1)
        total = total + share / variance_M[place]
    return total


def alignment(embedded: Mapping[str, Tensor], present_BM: Tensor, temperature: float) -> Tensor:
    """Return the contrastive loss that aligns a cell's modalities.

    The symmetric cross entropy of cosines over a temperature (InfoNCE, van den Oord et al. 2018) within the
    batch of cells, mean over pairs of modalities, on cells that have both.

    Parameters
    ----------
    embedded
        Embedding of the cells from one modality only, (B, E), by its name.
    present_BM
        Bool, whether a cell has a modality.
    temperature
        Above 0.
    """
    kinds, losses = list(embedded), []
    for at, one in enumerate(kinds):
        for other in kinds[at + 1 :]:
            both_B = present_BM[:, KINDS.index(one)] & present_BM[:, KINDS.index(other)]
            if both_B.sum() < 2:
                continue
            first, second = (F.normalize(embedded[kind], dim=1)[both_B] for kind in (one, other))
            logits = first @ second.T / temperature
            own = torch.arange(len(logits), device=logits.device)
            losses.append((F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2)
    return torch.stack(losses).mean() if losses else embedded[kinds[0]].new_zeros(())
