"""The pretraining objective: recover what was masked, from each token and from the cell alone.

Losses are sums over masked tokens beside their number, never means: the share that one rank or one
micro-batch holds then adds up to the same whole however a batch is divided. B cells, L tokens,
D width, O objectives.
"""

from typing import NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from sc_mamba2.model.losses import masked_squares, masked_zero_nll_sum
from sc_mamba2.model.pretrained import PretrainedModel
from sc_mamba2.model.token_chunks import expression_in_chunks


class ObjectiveOptions(BaseModel):
    """How much each part of the objective counts, from 0."""

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
        assert own.nonzero_probability is not None
        assert cell.nonzero_probability is not None
        highest = backbone.config.n_bins - 1
        parts = [
            masked_squares(own.value, target_BL, mask_BL) / highest**2,
            masked_squares(cell.value, target_BL, mask_BL) / highest**2,
            masked_zero_nll_sum(own.nonzero_probability, target_BL, mask_BL),
            masked_zero_nll_sum(cell.nonzero_probability, target_BL, mask_BL),
        ]
        return Recovered(torch.stack(parts), own.value, cell.value)

    def weighed(self, sums_O: Tensor) -> Tensor:
        """Add the parts up, (O,) to a scalar, each by its weight."""
        weights_O = sums_O.new_tensor([getattr(self.options, name) for name in OBJECTIVES])
        return (sums_O * weights_O).sum()
