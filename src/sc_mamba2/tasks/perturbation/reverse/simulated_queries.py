"""Simulated queries of which the right candidate is known: what was measured, measured again.

To choose among rankers by the candidates' own measured changes would be to ask each one for the very
noise that it was measured with. So a world is drawn: what the perturbations truly do, a new measurement
of it for the model to learn from, and queries that share no noise with that measurement.
Legend: Q measured effects, N queries, C candidates, G genes, X features, S and T source cells.
"""

from dataclasses import dataclass, replace

import numpy as np

from sc_mamba2.cells import parts_of
from sc_mamba2.methods.mean_changes import affine
from sc_mamba2.tasks.perturbation.effect_prior import left_out_estimates
from sc_mamba2.tasks.perturbation.effects import CELLS
from sc_mamba2.tasks.perturbation.reverse.candidates import Offer
from sc_mamba2.tasks.perturbation.reverse.features import compare
from sc_mamba2.tasks.perturbation.reverse.params import RankParams
from sc_mamba2.tasks.perturbation.reverse.retrieval import PredictedCells
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION


@dataclass(frozen=True, eq=False)
class Trials:
    """Queries with their answers.

    Attributes
    ----------
    truth_N
        Places of the right candidates.
    features_NCX
        See `features.compare`.
    shares_MC
        See `PredictedCells.shares`, of the first M queries.
    """

    truth_N: np.ndarray
    features_NCX: np.ndarray
    shares_MC: np.ndarray


class Worlds:
    """Draws worlds and queries in them.

    With δ what was measured, e its squared error, r its reliability and m the estimate of `Start` from
    them, a world is

    ``θ = m + √(r e) ε``, ``δ' = θ + √e ε'``, ``query = u θ_c + noise √e_asked ε''``

    with ε normal and u a strength between `weakest` and `strongest`: θ is drawn from what is believed of
    the true effect, and the candidates' changes are told from δ'. A pair that was not measured does the
    sum of what its parts do. A single one does what is told of it, moved by as much as measured
    ones are away from estimates without them.

    Parameters
    ----------
    offer
        The candidates.
    source_SG, others_TG
        Source cells that candidates are predicted from, and others that stand for the target.
    control_G, error_G
        Mean of all source cells; squared standard error of the change that is asked for.
    params, generator
        Numbers, and the source of all draws.
    """

    def __init__(
        self,
        offer: Offer,
        source_SG: np.ndarray,
        others_TG: np.ndarray,
        control_G: np.ndarray,
        error_G: np.ndarray,
        params: RankParams,
        generator: np.random.Generator,
    ) -> None:
        self.offer, self.source_SG, self.others_TG = offer, source_SG, others_TG
        self.control_G, self.error_G = control_G, error_G
        self.params, self.generator = params, generator
        start, rows = offer.start, offer.start.effects.rows
        self.believed_QG = np.stack(
            [
                start.estimate(name, context, start.effects.control_of(context))
                for name, context in zip(rows[PERTURBATION], rows[CONTEXT], strict=True)
            ]
        )
        measured = set(rows[PERTURBATION])
        self.units = {name: (name,) if name in measured else parts_of(name) for name in offer.names}
        strange = {part for parts in self.units.values() for part in parts} - measured
        self.strange = sorted(strange)
        self.untold_G = self._untold() if strange else np.zeros(len(control_G))

    def trials(self, searched: int) -> Trials:
        """Draw queries, `queries` in `worlds` worlds; retrieval answers the first `searched`."""
        truth, features, shares = [], [], []
        for places in np.array_split(self._places(), self.params.worlds):
            told_CG, truth_CG = self._world()
            cells = None
            for place in places:
                change_G = self._change(truth_CG[place])
                truth.append(int(place))
                features.append(self.features(change_G, told_CG))
                if len(shares) < searched:
                    cells = cells or self.predicted(told_CG)
                    shares.append(cells.shares(self._target(change_G), self.params.neighbours))
        found = np.stack(shares) if shares else np.zeros((0, len(self.offer.names)))
        return Trials(np.array(truth), np.stack(features), found)

    def features(self, change_G: np.ndarray, told_CG: np.ndarray) -> np.ndarray:
        """Compare a change with what is told of the candidates, (C, X)."""
        offer = self.offer
        most = self.params.own_gene_most
        return compare(change_G, self.error_G, told_CG, offer.own, offer.own_sign, most)

    def predicted(self, told_CG: np.ndarray) -> PredictedCells:
        """Predict the cells of every candidate from the source cells."""
        return predict_cells(self.source_SG, told_CG, self.offer.decoding, self.params)

    def _places(self) -> np.ndarray:
        return self.generator.integers(len(self.offer.names), size=self.params.queries)

    def _world(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw what the candidates are told to do, and what they do, (C, G) each."""
        start = self.offer.start
        effects = start.effects
        doubt_QG = np.sqrt(start.reliability_Q[:, None] * effects.error_QG)
        true_QG = self.believed_QG + doubt_QG * self._normal(doubt_QG.shape)
        again_QG = true_QG + np.sqrt(effects.error_QG) * self._normal(doubt_QG.shape)
        again = replace(start, effects=replace(effects, delta_QG=again_QG))
        told_CG = self.offer.told_by(again, self.control_G)
        places = effects.rows.groupby(PERTURBATION).indices
        cells_Q = effects.rows[CELLS].to_numpy(dtype=float)
        does = {
            name: np.average(true_QG[rows], axis=0, weights=cells_Q[rows])
            for name, rows in places.items()
        }
        for name in self.strange:
            told_G = again.estimate(name, self.offer.context, self.control_G)
            does[name] = told_G + self.untold_G * self._normal(told_G.shape)
        truth_CG = np.stack(
            [np.sum([does[unit] for unit in self.units[name]], axis=0) for name in self.offer.names]
        )
        return told_CG, np.maximum(truth_CG, -self.control_G)

    def _untold(self) -> np.ndarray:
        """Return how far measured effects are from what is told of them without them, (G,)."""
        effects = self.offer.start.effects
        away_QG = effects.delta_QG - left_out_estimates(self.offer.start, "unseen_perturbation")
        return np.sqrt(np.maximum((away_QG**2 - effects.error_QG).mean(axis=0), 0))

    def _change(self, truth_G: np.ndarray) -> np.ndarray:
        strength = self.generator.uniform(self.params.weakest, self.params.strongest)
        noise_G = self.params.noise * np.sqrt(self.error_G) * self._normal(truth_G.shape)
        return strength * truth_G + noise_G

    def _target(self, change_G: np.ndarray) -> np.ndarray:
        """Return source cells, none of which candidates are predicted from, as if they had changed."""
        level_G = self.others_TG.mean(axis=0)
        scale_G, shift_G = affine(change_G, level_G, *self.offer.decoding)
        return scale_G * self.others_TG + shift_G

    def _normal(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.generator.standard_normal(shape)


def predict_cells(
    source_SG: np.ndarray, told_CG: np.ndarray, decoding: tuple[float, float], params: RankParams
) -> PredictedCells:
    """Predict the cells of every candidate from source cells."""
    level_G = source_SG.mean(axis=0)
    blocks = []
    for told_G in told_CG:
        scale_G, shift_G = affine(told_G, level_G, *decoding)
        blocks.append((scale_G * source_SG + shift_G).astype(np.float32))
    owner_M = np.repeat(np.arange(len(told_CG)), len(source_SG))
    cells_MG = np.concatenate(blocks)
    return PredictedCells(cells_MG, owner_M, len(told_CG), params.components, params.exact_cells, 0)
