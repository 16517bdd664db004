"""Evaluate the prediction of held-out studies' molecules, in nats per molecule; over all processes.

N cells of a study, V vocabulary.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from sc_mamba2.model.molecule_objective import MoleculeObjective, by_gene
from sc_mamba2.model.molecules import posterior_log_rates, shift_to_means
from sc_mamba2.training.pretraining import Judged
from sc_mamba2.training.ranks import Ranks, rank_batches
from sc_mamba2.training.thinned_cells import ThinnedCells

HALF = 0.5  # pseudocount, in molecules, of every gene of a study
PHIS = (0.5, 1, 2, 5, 10)  # candidates for the gene means' phi


@torch.no_grad()
def molecules_held_out(
    objective: MoleculeObjective,
    source: ThinnedCells,
    studies: Mapping[str, np.ndarray],
    batch_size: int,
    ranks: Ranks,
) -> Judged:
    """Evaluate a model on the held-out molecules of the cells of some studies.

    Metrics, for each study and as their mean: ``plain`` and ``posterior``, unadjusted, without knowing the
    study's gene means; ``own_plain`` and ``own_posterior``, shifted to the gene means of the kept molecules;
    and as baselines ``means_plain`` and ``means_posterior``, these gene means alone, the latter with the best
    of several phi on the held-out molecules, in the baseline's favour. Genes that no cell of a study expresses
    count as unmeasured in all of them.

    Parameters
    ----------
    objective
        Model and losses; its training mode is restored.
    source
        Held-out cells, of studies unknown to the model; always thinned as in epoch 0.
    studies
        Positions of the cells of each study.
    batch_size
        Cells per process at a time.
    ranks
        This process among all.
    """
    was_training = objective.training
    objective.eval()
    found = {
        name: _of_study(objective, source, cells, batch_size, ranks)
        for name, cells in studies.items()
    }
    objective.train(was_training)
    kinds = list(next(iter(found.values())))
    named = {kind: float(np.mean([row[kind] for row in found.values()])) for kind in kinds}
    named |= {f"{kind}/{name}": row[kind] for name, row in found.items() for kind in kinds}
    return Judged(named["own_posterior"], named)


def _of_study(
    objective: MoleculeObjective,
    source: ThinnedCells,
    cells: np.ndarray,
    batch_size: int,
    ranks: Ranks,
) -> dict[str, float]:
    size = objective.measured_SV.shape[1]
    empty_NV = torch.zeros(0, size, device=ranks.device)
    parts: list[tuple[Tensor, ...]] = [(empty_NV,) * 4]
    for batch in rank_batches(source, cells, 0, batch_size, ranks):
        if len(batch.cells_B):
            found = objective(batch)
            left_BV = by_gene(batch.left_ids_BO, batch.left_BO, size)
            kept_BV = by_gene(batch.token_ids_BL, batch.counts_BL.clamp(min=0), size)
            parts.append((found.log_rates_BV, found.log_phi_BV, kept_BV, left_BV))
    rates_NV, phi_NV, kept_NV, left_NV = (torch.cat(column) for column in zip(*parts, strict=True))
    measured_V = objective.measured_SV[source.studies_N[cells[0]]]
    own_V = ranks.total(kept_NV.sum(0).double()) + HALF
    own_V = (own_V / own_V[measured_V].sum()).log().masked_fill(~measured_V, -torch.inf)
    shift_V = shift_to_means(rates_NV, kept_NV.sum(1), own_V.to(rates_NV), ranks.total)
    moved_NV = (rates_NV + shift_V).log_softmax(1)
    means_NV = own_V.to(rates_NV).expand_as(rates_NV)

    def nats(log_rates_NV: Tensor) -> float:
        terms_NV = log_rates_NV.masked_fill(left_NV == 0, 0) * left_NV
        sums = torch.stack([-terms_NV.sum(dtype=torch.float64), left_NV.sum(dtype=torch.float64)])
        total, molecules = ranks.total(sums).tolist()
        return total / max(molecules, 1.0)

    of_means = [
        nats(posterior_log_rates(means_NV, torch.full_like(means_NV, phi).log(), kept_NV))
        for phi in PHIS
    ]
    return {
        "plain": nats(rates_NV),
        "posterior": nats(posterior_log_rates(rates_NV, phi_NV, kept_NV)),
        "own_plain": nats(moved_NV),
        "own_posterior": nats(posterior_log_rates(moved_NV, phi_NV, kept_NV)),
        "means_plain": nats(means_NV),
        "means_posterior": min(of_means),
    }
