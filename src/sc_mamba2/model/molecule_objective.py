"""The objective of count splitting: predict held-out molecules of a cell.

Losses are sums, never means, as in `objective`. B cells, V vocabulary, S studies, O objectives.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sc_mamba2.model.molecules import posterior_log_rates
from sc_mamba2.model.options import MoleculeOptions
from sc_mamba2.model.pretrained import PretrainedModel
from sc_mamba2.ops import real_tokens
from sc_mamba2.tokens import ThinnedBatch


class FromMolecules(NamedTuple):
    """Losses summed over the cells of a batch, and the predictions."""

    sums_O: Tensor
    log_rates_BV: Tensor  # -inf for unmeasured genes
    log_phi_BV: Tensor


class MoleculeObjective(nn.Module):
    """A pretrained model with the losses of count splitting, in nats per held-out molecule.

    ``plain`` scores the predicted rates, ``posterior`` those that also use the kept counts; ``types`` is
    the log loss over Cell Ontology terms, where membership is known. Every cell has the same weight,
    however many molecules it has.

    Parameters
    ----------
    model
        With the head of molecules.
    options
        Weights of the parts.
    measured_SV
        bool, genes that each study measured; the rate of others is zero in its cells.
    is_CT, known_CT
        bool, whether a cell of a type belongs to a term, and whether that is known.
    """

    names = tuple(MoleculeOptions.model_fields)

    def __init__(
        self,
        model: PretrainedModel,
        options: MoleculeOptions,
        measured_SV: Tensor,
        is_CT: Tensor,
        known_CT: Tensor,
    ) -> None:
        super().__init__()
        self.model, self.options = model, options
        self.measured_SV: Tensor
        self.is_CT: Tensor
        self.known_CT: Tensor
        self.register_buffer("measured_SV", measured_SV, persistent=False)
        self.register_buffer("is_CT", is_CT, persistent=False)
        self.register_buffer("known_CT", known_CT, persistent=False)

    def forward(self, batch: ThinnedBatch) -> FromMolecules:
        """Sum the losses of a batch, on the model's device."""
        model, decoder = self.model, self.model.molecule_decoder
        assert decoder is not None
        hidden_BLD = model.backbone(
            batch.token_ids_BL, batch.counts_BL, batch.lengths_B, read_B=batch.read_B
        )
        read_ids_BL = batch.token_ids_BL[:, : hidden_BLD.shape[1]]
        real_BL = real_tokens(batch.read_B, hidden_BLD.shape[1])
        logits_BV, log_phi_BV = decoder(hidden_BLD, read_ids_BL, real_BL)
        known_B1 = batch.known_B.unsqueeze(1)
        if len(decoder.study_SV):
            own_BV = decoder.study_SV[batch.studies_B.clamp(max=len(decoder.study_SV) - 1)]
            logits_BV = logits_BV + own_BV.masked_fill(~known_B1, 0)
        unmeasured_BV = ~self.measured_SV[batch.studies_B]
        log_rates_BV = logits_BV.masked_fill(unmeasured_BV, -torch.inf).log_softmax(1)
        kept_BL = batch.counts_BL.to(logits_BV).clamp(min=0)
        counts_BV = by_gene(batch.token_ids_BL, kept_BL, logits_BV.shape[1])
        posterior_BV = posterior_log_rates(log_rates_BV, log_phi_BV, counts_BV)
        molecules_B = batch.left_BO.sum(1).clamp(min=1)
        nats = [
            (_nats_B(rates_BV, batch) / molecules_B).sum()
            for rates_BV in (log_rates_BV, posterior_BV)
        ]
        sums_O = torch.stack([*nats, self._types(hidden_BLD[:, 0], batch.types_B)])
        return FromMolecules(sums_O, log_rates_BV, log_phi_BV)

    def _types(self, cell_BD: Tensor, types_B: Tensor) -> Tensor:
        if self.model.type_decoder is None:
            return cell_BD.new_zeros(())
        logits_BT = self.model.type_decoder(cell_BD)
        known_BT = self.known_CT[types_B.clamp(min=0)] & (types_B >= 0).unsqueeze(1)
        is_BT = self.is_CT[types_B.clamp(min=0)].to(logits_BT)
        losses_BT = nn.functional.binary_cross_entropy_with_logits(
            logits_BT, is_BT, known_BT.to(logits_BT), reduction="none"
        )
        return (losses_BT.sum(1) / known_BT.sum(1).clamp(min=1)).sum()

    @staticmethod
    def target_counts(batch: ThinnedBatch) -> Tensor:
        """Count the cells that enter each part of the objective, (O,) int64."""
        molecules, typed = (batch.left_BO.sum(1) > 0).sum(), (batch.types_B >= 0).sum()
        return torch.stack([molecules, molecules, typed])

    def weighted_sum(self, sums_O: Tensor) -> Tensor:
        """Return the weighted sum of the parts, (O,) to a scalar."""
        weights_O = sums_O.new_tensor([getattr(self.options, name) for name in self.names])
        return (sums_O * weights_O).sum()


def by_gene(ids_BL: Tensor, counts_BL: Tensor, size: int) -> Tensor:
    """Scatter counts of tokens, (B, L), into the whole vocabulary, (B, V)."""
    return counts_BL.new_zeros(len(counts_BL), size).scatter_add(1, ids_BL, counts_BL)


def _nats_B(log_rates_BV: Tensor, batch: ThinnedBatch) -> Tensor:
    """Return ``-sum(held-out count * log rate)`` of every cell."""
    log_rates_BO = log_rates_BV.gather(1, batch.left_ids_BO)
    # Pads have no molecules but a log rate of -inf.
    log_rates_BO = log_rates_BO.masked_fill(batch.left_BO == 0, 0)
    return -(log_rates_BO * batch.left_BO.to(log_rates_BO)).sum(1)
