"""The pretraining objective: recover what was masked, from each token and from the cell alone.

Losses are sums over masked tokens beside their number, never means: the share that one rank or one
micro-batch holds then adds up to the same whole however a batch is divided. B cells, L tokens,
D width, O objectives, M tokens whose gene is hidden.
"""

from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from sc_mamba2.model.pretrained import PretrainedModel
from sc_mamba2.model.token_chunks import expression_in_chunks


class ObjectiveOptions(BaseModel):
    """How much each part of the objective counts; 0 leaves it out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    expression: float = Field(
        1.0, ge=0, description="squared error of a masked token's bin, over the highest bin"
    )
    cell_expression: float = Field(
        1.0, ge=0, description="the same, of what the cell embedding alone tells of the gene"
    )
    zeros: float = Field(
        0.1, ge=0, description="log loss of whether a masked token is expressed, from the token"
    )
    cell_zeros: float = Field(
        0.1, ge=0, description="log loss of whether it is expressed, from the cell embedding"
    )


class Recovered(NamedTuple):
    """What one forward gives: losses added up over the masked tokens, and what was told of all."""

    sums_O: Tensor
    own_BL: Tensor  # bin, from the token
    cell_BL: Tensor  # bin, from the cell


OBJECTIVES = tuple(ObjectiveOptions.model_fields)


class MaskedObjective(nn.Module):
    """A pretrained model with the losses of masked expression.

    Parameters
    ----------
    model
        Has heads for expression and expression from the cell, with zero probabilities.
    options
        Weights of the parts.
    """

    def __init__(self, model: PretrainedModel, options: ObjectiveOptions) -> None:
        super().__init__()
        self.model, self.options = model, options

    def forward(
        self,
        token_ids_BL: Tensor,
        inputs_BL: Tensor,
        target_BL: Tensor,
        mask_BL: Tensor,
        lengths_B: Tensor,
    ) -> Recovered:
        """Add up the losses of a batch.

        Parameters
        ----------
        token_ids_BL
            Gene ids, `<cls>` first, right-padded.
        inputs_BL
            Bins as the model may see them: those of masked tokens are hidden.
        target_BL
            Bins as they are, 0 for genes that are not expressed.
        mask_BL
            Tokens that are masked, bool.
        lengths_B
            Real tokens of each cell.
        """
        model, backbone = self.model, self.model.backbone
        assert model.expression_decoder is not None
        assert model.cell_expression_decoder is not None
        from_cell = model.cell_expression_decoder
        hidden_BLD = backbone(token_ids_BL, inputs_BL, lengths_B)
        cell_BD = hidden_BLD[:, 0]
        own = expression_in_chunks(model.expression_decoder, hidden_BLD)
        cell = expression_in_chunks(
            lambda ids_BL: from_cell(cell_BD, backbone.gene_encoder(ids_BL)), token_ids_BL
        )
        scale = float(backbone.config.n_bins - 1)
        parts = [
            _squared(own.value, target_BL, mask_BL, scale),
            _squared(cell.value, target_BL, mask_BL, scale),
            _log_loss(own.nonzero_probability, target_BL, mask_BL),
            _log_loss(cell.nonzero_probability, target_BL, mask_BL),
        ]
        return Recovered(torch.stack(parts), own.value, cell.value)

    def total(self, found: Recovered, masked: Tensor) -> Tensor:
        """Weigh the parts of a batch by the options, over the masked tokens of the whole step."""
        weights_O = found.sums_O.new_tensor([getattr(self.options, name) for name in OBJECTIVES])
        return (found.sums_O * weights_O).sum() / masked


def _squared(value_BL: Tensor, target_BL: Tensor, mask_BL: Tensor, scale: float) -> Tensor:
    error_BL = ((_at_least_single(value_BL) - target_BL) / scale).masked_fill(~mask_BL, 0)
    return error_BL.square().sum()


def _log_loss(probability_BL: Tensor | None, target_BL: Tensor, mask_BL: Tensor) -> Tensor:
    assert probability_BL is not None
    probability_BL = _at_least_single(probability_BL)
    # Clamped so that a saturated sigmoid costs much but not infinitely much.
    tiny = torch.finfo(probability_BL.dtype).eps
    told_BL = torch.where(target_BL > 0, probability_BL, 1 - probability_BL).clamp(min=tiny)
    return -told_BL.log().masked_fill(~mask_BL, 0).sum()


def _at_least_single(part: Tensor) -> Tensor:
    return part.to(torch.promote_types(part.dtype, torch.float32))
