"""The pretraining objective: recover what was masked, from each token and from the cell alone.

Losses are sums over what was asked for, never means: the share that one rank or one micro-batch
holds then adds up to the same whole however a batch is divided. B cells, L tokens, O objectives.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sc_mamba2.model.heads import expression_in_chunks
from sc_mamba2.model.losses import hidden_genes_nll_sum, masked_squares, masked_zero_nll_sum
from sc_mamba2.model.options import ObjectiveOptions
from sc_mamba2.model.pretrained import PretrainedModel
from sc_mamba2.tokens import MaskedBatch


class Recovered(NamedTuple):
    """What one forward gives: losses added up over what was asked for, and what was told of all."""

    sums_O: Tensor
    own_BL: Tensor  # bin, from the token
    cell_BL: Tensor  # bin, from the cell


OBJECTIVES = tuple(ObjectiveOptions.model_fields)


class MaskedObjective(nn.Module):
    """A pretrained model with the losses of masked expression.

    It has the heads of expression and of expression from the cell, with zero probabilities, and the
    gene decoder.
    """

    names = OBJECTIVES

    def __init__(self, model: PretrainedModel, options: ObjectiveOptions) -> None:
        super().__init__()
        self.model, self.options = model, options

    def forward(self, batch: MaskedBatch) -> Recovered:
        """Add up the losses of a batch, on the model's device."""
        token_ids_BL, target_BL, mask_BL = batch.token_ids_BL, batch.target_BL, batch.mask_BL
        model, backbone = self.model, self.model.backbone
        assert model.expression_decoder is not None
        assert model.cell_expression_decoder is not None
        assert model.gene_decoder is not None
        from_cell = model.cell_expression_decoder
        hidden_BLD = backbone(token_ids_BL, batch.inputs_BL, batch.lengths_B)
        cell_BD = hidden_BLD[:, 0]
        own = expression_in_chunks(model.expression_decoder, hidden_BLD)
        cell = expression_in_chunks(
            lambda ids_BL: from_cell(cell_BD, backbone.gene_encoder(ids_BL)), token_ids_BL
        )
        assert own.nonzero_probability is not None
        assert cell.nonzero_probability is not None
        genes_BV = model.gene_decoder(cell_BD, backbone.gene_embedding.weight)
        highest = backbone.config.n_bins - 1
        parts = [
            masked_squares(own.value, target_BL, mask_BL) / highest**2,
            masked_squares(cell.value, target_BL, mask_BL) / highest**2,
            masked_zero_nll_sum(own.nonzero_probability, target_BL, mask_BL),
            masked_zero_nll_sum(cell.nonzero_probability, target_BL, mask_BL),
            hidden_genes_nll_sum(genes_BV, batch.left_out_BO, batch.left_out_mask_BO),
        ]
        return Recovered(torch.stack(parts), own.value, cell.value)

    @staticmethod
    def asked(batch: MaskedBatch) -> Tensor:
        """Count what each part of the objective is asked for, (O,) int64."""
        masked, left_out = batch.mask_BL.sum(), batch.left_out_mask_BO.sum()
        counts = {"cell_genes": left_out}
        return torch.stack([counts.get(name, masked) for name in OBJECTIVES])

    def weighed(self, sums_O: Tensor) -> Tensor:
        """Add the parts up, (O,) to a scalar, each by its weight."""
        weights_O = sums_O.new_tensor([getattr(self.options, name) for name in OBJECTIVES])
        return (sums_O * weights_O).sum()
