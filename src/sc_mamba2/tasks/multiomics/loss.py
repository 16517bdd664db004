"""What the multi-omics model is trained on, and what chooses the epoch.

Legend as in `head`.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from sc_mamba2.model.domains import batch_excess
from sc_mamba2.tokens import KINDS, Batch, hide_tokens, visible_part

if TYPE_CHECKING:
    from sc_mamba2.tasks.multiomics.model import MultiomicsModel


def training_loss(model: "MultiomicsModel", batch: Batch, targets: dict[str, Tensor]) -> Tensor:
    """Return the loss of a step.

    Of a share of the cells one modality alone is seen, drawn among those that they have; of what is seen a
    share is masked. All that a cell has is to be told: ``sum_m mean((x_m - v_m)^2) / s_m`` over the cells
    that have m, s_m being the features' mean variance. To that come the adversary of the batches and
    the contrastive alignment, where they are asked for.
    """
    objective, batch_B = model.objective, targets["batch_B"]
    seen = visible_part(
        batch,
        model.kind_V,
        draw_visible(targets["present_BM"], objective.alone_share),
        model.backbone.config.pad_id,
    )
    seen = hide_tokens(seen, objective.mask_share, by_chance=True)
    cell_BE = model(seen, batch_B)
    total = reconstruction(model, cell_BE, batch, targets)
    if objective.adversary and len(model.batches) > 1:
        logits_BK = model.discriminator(cell_BE, objective.adversary)
        losses_B = F.cross_entropy(logits_BK, batch_B, reduction="none")
        total = total + (losses_B * targets["weight_B"]).mean()
    if objective.contrast:
        total = total + objective.contrast * alignment(model, batch, targets)
    return total


@torch.no_grad()
def choosing_loss(model: "MultiomicsModel", batch: Batch, targets: dict[str, Tensor]) -> Tensor:
    """Return what chooses the epoch: all that the cells have, told from all of it and from each alone.

    Masked alike at every call. Where there are batches, how well neighbours tell them is added: the
    adversary's own loss would reward one that has learnt nothing.
    """
    objective, batch_B = model.objective, targets["batch_B"]
    masked = hide_tokens(batch, objective.mask_share, by_chance=False)
    whole_BE = model(masked, batch_B)
    losses = [reconstruction(model, whole_BE, batch, targets)]
    for kind in model.widths:
        alone = model(model.view(masked, (kind,)), batch_B)
        both = targets["present_BM"][:, KINDS.index(kind)]
        losses.append(reconstruction(model, alone, batch, targets, both))
    total = torch.stack(losses).mean()
    if len(model.batches) > 1:
        total = total + objective.mixing * batch_excess(whole_BE, batch_B)
    return total


def draw_visible(present_BM: Tensor, alone_share: float) -> Tensor:
    """Draw which modalities of each cell are seen: all that it has, or one of them alone."""
    chance_BM = torch.rand(present_BM.shape, device=present_BM.device) * present_BM
    one_BM = F.one_hot(chance_BM.argmax(dim=1), present_BM.shape[1]).bool()
    alone_B1 = torch.rand(len(present_BM), 1, device=present_BM.device) < alone_share
    return torch.where(alone_B1, one_BM & present_BM, present_BM)


def reconstruction(
    model: "MultiomicsModel",
    cell_BE: Tensor,
    batch: Batch,
    targets: dict[str, Tensor],
    counted_B: Tensor | None = None,
) -> Tensor:
    """Sum over the modalities the error of what is told, in units of their variance.

    Parameters
    ----------
    model, cell_BE, batch, targets
        The cells, whole, and their embeddings.
    counted_B
        Cells that count; None: all.
    """
    decoded_BV = model.decode(cell_BE, targets["batch_B"])
    target_BV = torch.zeros_like(decoded_BV).scatter_add_(
        1, batch.token_ids_BL, batch.values_BL.to(decoded_BV)
    )
    squares_BV = (decoded_BV - target_BV).square()
    total = decoded_BV.new_zeros(())
    for kind in model.widths:
        place = KINDS.index(kind)
        have_B = targets["present_BM"][:, place]
        have_B = (have_B if counted_B is None else have_B & counted_B).to(squares_BV)
        errors_B = squares_BV[:, model.rows_of(kind)].mean(dim=1)
        share = (errors_B * have_B).sum() / have_B.sum().clamp(min=1)
        total = total + share / model.variance_M[place]
    return total


def alignment(model: "MultiomicsModel", batch: Batch, targets: dict[str, Tensor]) -> Tensor:
    """Compute how badly a cell's modalities find each other among the cells of the step.

    The symmetric cross entropy of cosines over a temperature (InfoNCE, van den Oord et al. 2018), mean
    over the pairs of modalities, over the cells that have both.
    """
    embedded = {
        kind: F.normalize(model(model.view(batch, (kind,)), targets["batch_B"]), dim=1)
        for kind in model.widths
    }
    kinds, losses = list(embedded), []
    for at, one in enumerate(kinds):
        for other in kinds[at + 1 :]:
            present_BM = targets["present_BM"]
            both_B = present_BM[:, KINDS.index(one)] & present_BM[:, KINDS.index(other)]
            if both_B.sum() < 2:
                continue
            logits = embedded[one][both_B] @ embedded[other][both_B].T
            logits = logits / model.objective.temperature
            own = torch.arange(len(logits), device=logits.device)
            losses.append((F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2)
    return torch.stack(losses).mean() if losses else batch.values_BL.new_zeros(())
