"""The head of count splitting: predicts gene rates of a cell, and how much its own counts correct them.

Legend: N cells of a study, B cells of a batch, L tokens, D width, V vocabulary, S studies, R rank.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

_RANK = 8  # of the interaction of cell and gene in log phi
_HIDDEN = 2  # hidden width of the token network over the model's width
_ROUNDS, _CLOSE = 20, 1e-4  # most iterations and stopping threshold of `shift_to_means`


class MoleculePredictions(NamedTuple):
    """Predictions for the molecules of cells."""

    logits_BV: Tensor  # log rates, up to a constant per cell
    log_phi_BV: Tensor  # log of the predicted rate's weight, in molecules


class MoleculeDecoder(nn.Module):
    """Predicts rates of all genes from the cell embedding, corrected for genes among the tokens.

    With z the cell embedding, h_g the hidden vector of a gene among the tokens, and s the study, if known:

    - logit of a gene's rate ``W_g z + b_g + rows_sg + a_g``; the caller adds ``rows_sg`` (`study_SV`)
    - ``log phi = u_g + u z + (U z) G_g + f_g``
    - ``(a_g, f_g) = MLP(h_g, z)``, zero for genes not among the tokens, and at initialisation

    See `posterior_log_rates` for phi. `studies` is the number of studies with a row of their own.
    """

    def __init__(self, d_model: int, vocabulary_size: int, studies: int) -> None:
        super().__init__()
        self.rates = nn.Linear(d_model, vocabulary_size)
        nn.init.normal_(self.rates.weight, std=0.02)
        nn.init.zeros_(self.rates.bias)
        self.study_SV = nn.Parameter(torch.zeros(studies, vocabulary_size))
        self.phi_V = nn.Parameter(torch.zeros(vocabulary_size))
        self.phi_cell = nn.Linear(d_model, 1 + _RANK)
        self.phi_RV = nn.Parameter(torch.zeros(_RANK, vocabulary_size))
        self.token_hidden = nn.Linear(d_model, _HIDDEN * d_model)
        self.token_cell = nn.Linear(d_model, _HIDDEN * d_model, bias=False)
        self.token = nn.Linear(_HIDDEN * d_model, 2)
        nn.init.zeros_(self.token.weight)
        nn.init.zeros_(self.token.bias)

    def forward(
        self, hidden_BLD: Tensor, token_ids_BL: Tensor, real_BL: Tensor
    ) -> MoleculePredictions:
        """Predict from the hidden vectors of right-padded cells, `<cls>` first, in the weights' precision.

        `real_BL` marks the real tokens.
        """
        with torch.autocast(hidden_BLD.device.type, enabled=False):
            return self._predict(hidden_BLD.to(self.rates.weight), token_ids_BL, real_BL)

    def _predict(
        self, hidden_BLD: Tensor, token_ids_BL: Tensor, real_BL: Tensor
    ) -> MoleculePredictions:
        cell_BD = hidden_BLD[:, 0]
        phi_BR = self.phi_cell(cell_BD)
        log_phi_BV = self.phi_V + phi_BR[:, :1] + phi_BR[:, 1:] @ self.phi_RV
        seen_BLH = self.token_hidden(hidden_BLD) + self.token_cell(cell_BD).unsqueeze(1)
        correction_BL2 = self.token(nn.functional.gelu(seen_BLH))
        gene_BL = real_BL.clone()
        gene_BL[:, 0] = False
        correction_BL2 = correction_BL2.masked_fill(~gene_BL.unsqueeze(-1), 0)
        return MoleculePredictions(
            self.rates(cell_BD).scatter_add(1, token_ids_BL, correction_BL2[..., 0]),
            log_phi_BV.scatter_add(1, token_ids_BL, correction_BL2[..., 1]),
        )


def posterior_log_rates(log_rates_BV: Tensor, log_phi_BV: Tensor, counts_BV: Tensor) -> Tensor:
    """Return the log posterior mean rates of cells, given their own counts.

    The rate of a gene is P times a Gamma variable of mean 1 and shape phi, its count c is Poisson with mean
    n times the rate: so ``rate ~ P (phi + c) / (phi + n P)``, normalised to sum to one. This is
    `methods.molecules.posterior_rates` with one phi per gene.

    Parameters
    ----------
    log_rates_BV
        Logarithm of P, whose rows sum to one; -inf for unmeasured genes, as in the result.
    log_phi_BV
        Logarithm of phi.
    counts_BV
        c, summing to n molecules per cell.
    """
    rates_BV, phi_BV = log_rates_BV.exp(), log_phi_BV.exp()
    molecules_B1 = counts_BV.sum(1, keepdim=True)
    gain_BV = (phi_BV + counts_BV).log() - (phi_BV + molecules_B1 * rates_BV).log()
    posterior_BV: Tensor = (log_rates_BV + gain_BV).log_softmax(1)
    return posterior_BV


def shift_to_means(
    log_rates_NV: Tensor,
    molecules_N: Tensor,
    log_means_V: Tensor,
    total: Callable[[Tensor], Tensor] = lambda part: part,
) -> Tensor:
    """Return the shift of log rates that matches the molecule-weighted mean rates of cells to given means.

    One shift per gene for all cells, (V,), found iteratively; shifted rates are normalised to sum to one.

    Parameters
    ----------
    log_rates_NV
        Log rates, whose exponentials sum to one per cell; -inf for unmeasured genes.
    molecules_N
        Molecules of each cell.
    log_means_V
        Logarithm of the target means; -inf for genes not measured in any cell.
    total
        Sums over all processes that hold a part of the cells.
    """
    weights_N1 = (molecules_N / total(molecules_N.sum()).clamp(min=1)).unsqueeze(1)
    measured_V = torch.isfinite(log_means_V)
    shift_V = torch.zeros_like(log_means_V)
    for _ in range(_ROUNDS):
        rates_NV = (log_rates_NV + shift_V).softmax(1)
        mean_V = total((rates_NV * weights_N1).sum(0)).clamp(min=torch.finfo(rates_NV.dtype).tiny)
        step_V = (log_means_V - mean_V.log()).masked_fill(~measured_V, 0)
        shift_V = shift_V + step_V
        if float(step_V.abs().max()) < _CLOSE:
            break
    return shift_V
