"""The masked pretraining objective: predict masked values from each token and from the cell embedding alone.

Losses are sums, never means, so that ranks and micro-batches add up to the same total however a batch
is divided. B cells, L tokens, O objectives.
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
    """Summed losses of a batch, and the predicted bins of all tokens."""

    sums_O: Tensor
    own_BL: Tensor  # bin, from the token
    cell_BL: Tensor  # bin, from the cell embedding


OBJECTIVES = tuple(ObjectiveOptions.model_fields)


class MaskedObjective(nn.Module):
    """A pretrained model with the losses of masked expression.

    The model needs both expression heads, with zero probabilities, and the gene decoder.
    """

    names = OBJECTIVES

    def __init__(self, model: PretrainedModel, options: ObjectiveOptions) -> None:
        super().__init__()
        self.model, self.options = model, options

    def forward(self, batch: MaskedBatch) -> Recovered:
        """Sum the losses of a batch, on the model's device."""
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
    def target_counts(batch: MaskedBatch) -> Tensor:
        """Count the predictions that enter each part of the objective, (O,) int64."""
        masked, left_out = batch.mask_BL.sum(), batch.left_out_mask_BO.sum()
        counts = {"cell_genes": left_out}
        return torch.stack([counts.get(name, masked) for name in OBJECTIVES])

    def weighted_sum(self, sums_O: Tensor) -> Tensor:
        """Return the weighted sum of the parts, (O,) to a scalar."""
        weights_O = sums_O.new_tensor([getattr(self.options, name) for name in OBJECTIVES])
        return (sums_O * weights_O).sum()
