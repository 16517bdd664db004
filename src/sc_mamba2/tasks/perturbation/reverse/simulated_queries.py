"""Simulated queries with known answers.

Choosing among rankers by the candidates' own measured changes would reward matching the noise of those
measurements. So everything is simulated: the true effects, a new measurement of them for the model to
learn from, and queries that share no noise with that measurement.
Legend: Q measured effects, N queries, C candidates, G genes, X features, S and T source cells.
"""

from dataclasses import dataclass, replace

import numpy as np

from sc_mamba2.methods.mean_changes import affine
from sc_mamba2.methods.retrieval import NeighbourVotes
from sc_mamba2.tasks.perturbation.effects import CELLS, pairs_of
from sc_mamba2.tasks.perturbation.prior_fit import left_out_estimates
from sc_mamba2.tasks.perturbation.reverse.candidates import Candidates
from sc_mamba2.tasks.perturbation.reverse.comparisons import compare
from sc_mamba2.tasks.perturbation.reverse.params import RankParams
from sc_mamba2.tasks.perturbation.split import PERTURBATION
from sc_mamba2.tasks.shared.progress import training_progress


@dataclass(frozen=True, eq=False)
class Trials:
    """Queries with their answers.

    Attributes
    ----------
    truth_N
        Indices of the right candidates.
    features_NCX
        See `compare`.
    shares_MC
        See `NeighbourVotes.shares`; first M queries only.
    """

    truth_N: np.ndarray
    features_NCX: np.ndarray
    shares_MC: np.ndarray


class SimulatedQueries:
    """Draws true effects, measurements and queries.

    With δ the measured effects, e their squared errors, r their reliability and m the estimate of
    `EffectPrior` from them, it draws

    ``θ = m + √(r e) ε``, ``δ' = θ + √e ε'``, ``query = u θ_c + noise √e_query ε''``

    with ε normal and u a strength between `weakest` and `strongest`: θ is a draw from the posterior of the
    true effect, and the candidates' changes are estimated from δ'. An unmeasured pair has the sum of its
    parts' effects. An unmeasured single perturbation has its estimate plus noise as large as the error of
    left-out estimates of measured ones.

    Parameters
    ----------
    source_SG, others_TG
        Source cells that candidates are predicted from, and others that are turned into target cells.
    control_G, error_G
        Mean of all source cells; squared standard error of the real query's change.
    """

    def __init__(
        self,
        candidates: Candidates,
        source_SG: np.ndarray,
        others_TG: np.ndarray,
        control_G: np.ndarray,
        error_G: np.ndarray,
        params: RankParams,
        generator: np.random.Generator,
    ) -> None:
        self.candidates, self.source_SG, self.others_TG = candidates, source_SG, others_TG
        self.control_G, self.error_G = control_G, error_G
        self.params, self.generator = params, generator
        prior, effects = candidates.prior, candidates.prior.effects
        self.believed_QG = np.stack(
            [
                prior.estimate(name, context, effects.control_of(context))
                for name, context in pairs_of(effects.rows)
            ]
        )
        singles = {part for parts in candidates.parts for part in parts}
        self.unmeasured = sorted(singles - set(effects.rows[PERTURBATION]))
        self.unexplained_G = np.zeros(len(control_G))
        if self.unmeasured:  # error of left-out estimates, beyond the noise
            residual_QG = effects.delta_QG - left_out_estimates(prior, "unseen_perturbation")
            excess_G = (residual_QG**2 - effects.error_QG).mean(axis=0)
            self.unexplained_G = np.sqrt(np.maximum(excess_G, 0))

    def trials(self, searched: int) -> Trials:
        """Draw queries from `worlds` simulated trainings; retrieval answers the first `searched`."""
        truth, features, shares = [], [], list[np.ndarray]()
        count, most = len(self.candidates.names), self.params.own_gene_most
        drawn = self.generator.integers(count, size=self.params.queries)
        with training_progress("simulating", unit="query") as on_step:
            for places in np.array_split(drawn, self.params.worlds):
                estimated_CG, true_CG = self.draw_effects()
                votes = None
                for place in places:
                    change_G = self._change(true_CG[place])
                    truth.append(int(place))
                    features.append(
                        compare(change_G, self.error_G, estimated_CG, self.candidates, most)
                    )
                    if len(shares) < searched:
                        votes = votes or predict_cells(
                            self.source_SG, estimated_CG, self.candidates.decoding, self.params
                        )
                        shares.append(votes.shares(self._target(change_G)))
                    on_step(len(truth), len(drawn))
        shares_MC = np.stack(shares) if shares else np.zeros((0, count))
        return Trials(np.array(truth), np.stack(features), shares_MC)

    def draw_effects(self) -> tuple[np.ndarray, np.ndarray]:
        """Draw estimated and true effects of the candidates, (C, G) each."""
        prior = self.candidates.prior
        effects = prior.effects
        noise_QG = np.sqrt(prior.reliability_Q[:, None] * effects.error_QG)
        true_QG = self.believed_QG + noise_QG * self._normal(noise_QG.shape)
        again_QG = true_QG + np.sqrt(effects.error_QG) * self._normal(noise_QG.shape)
        again = replace(prior, effects=replace(effects, delta_QG=again_QG))
        estimated_CG = self.candidates.changes(again, self.control_G)
        cells_Q = effects.rows[CELLS].to_numpy(dtype=float)
        true = {
            str(name): np.average(true_QG[rows], axis=0, weights=cells_Q[rows])
            for name, rows in effects.rows.groupby(PERTURBATION).indices.items()
        }
        for name in self.unmeasured:
            estimate_G = again.estimate(name, self.candidates.context, self.control_G)
            true[name] = estimate_G + self.unexplained_G * self._normal(estimate_G.shape)
        return estimated_CG, np.maximum(self.candidates.summed(true), -self.control_G)

    def _change(self, true_G: np.ndarray) -> np.ndarray:
        strength = self.generator.uniform(self.params.weakest, self.params.strongest)
        noise_G = self.params.noise * np.sqrt(self.error_G) * self._normal(true_G.shape)
        return strength * true_G + noise_G

    def _target(self, change_G: np.ndarray) -> np.ndarray:
        """Apply the change to the source cells that no candidate is predicted from."""
        level_G = self.others_TG.mean(axis=0)
        scale_G, shift_G = affine(change_G, level_G, *self.candidates.decoding)
        return scale_G * self.others_TG + shift_G

    def _normal(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.generator.standard_normal(shape)


def predict_cells(
    source_SG: np.ndarray, changes_CG: np.ndarray, decoding: tuple[float, float], params: RankParams
) -> NeighbourVotes:
    """Predict the cells of every candidate from source cells."""
    level_G = source_SG.mean(axis=0)
    blocks = []
    for change_G in changes_CG:
        scale_G, shift_G = affine(change_G, level_G, *decoding)
        blocks.append((scale_G * source_SG + shift_G).astype(np.float32))
    owner_M = np.repeat(np.arange(len(changes_CG)), len(source_SG))
    numbers = params.neighbours, params.components, params.exact_cells, 0
    return NeighbourVotes(np.concatenate(blocks), owner_M, len(changes_CG), *numbers)
