"""The simple estimate of a perturbation's effect: measured effects, weighed by likeness and by error.

It is what the model begins with, and contains the mean of the training perturbations and the mean of
the other contexts. Legend: G genes, Q measured effects, F numbers of a feature, C contexts.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.special import softmax

from sc_mamba2.cells import base_and_dose, parts_of
from sc_mamba2.tasks.perturbation.effects import Effects, reliability
from sc_mamba2.tasks.perturbation.features import (
    base_name,
    dose_distance,
    joined_feature,
)
from sc_mamba2.tasks.perturbation.params import StartParams
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION

_SMALL = 1e-12


@dataclass(frozen=True, eq=False)
class Start:
    """Estimates the effect of a perturbation in a context.

    What was measured of a perturbation p in several contexts is one effect for the context c,

    ``delta_p(c) = sum_q w_q delta_q / sum_q w_q``, ``w_q = exp(cos(c, c_q) / T_c) / e_q``,

    over its measurements q, with e_q the sum of their squared errors and c control means; those at other
    doses weigh less by ``exp(-|log10 dose - log10 dose_q| / T_d)``. That is the estimate (``prior``)
    for a context or a dose in which p was not measured. A perturbation that was measured
    nowhere is estimated from all others, with f their features and r the reliability of delta_p(c):

    ``prior = sum_p softmax_p(cos(f, f_p) / T_p) r_p delta_p(c)``

    so that what is noise draws towards no change; without a feature all others weigh alike. What a
    perturbation does to its own gene is left out of that sum, and told apart: it is ``rho`` times the
    gene's control mean, with rho fitted to the measured perturbations' own genes. A combination that
    no context has is the sum of its parts. Where the very effect was measured, the answer is
    ``r delta + (1 - r) prior``.

    Attributes
    ----------
    effects
        What was measured.
    singles
        Unit vectors of single perturbations by name; those that are not described are absent.
    own
        Columns of single perturbations' own genes; see `own_columns`.
    perturbation_temperature, context_temperature
        T_p and T_c, above 0.
    params
        T_d, and the number of genes behind the likeness of contexts.
    """

    effects: Effects
    singles: dict[str, np.ndarray]
    own: dict[str, int] = field(default_factory=dict)
    perturbation_temperature: float = 0.2
    context_temperature: float = 0.4
    params: StartParams = field(default_factory=StartParams)

    def estimate(
        self, name: str, context: str, control_G: np.ndarray, hidden_Q: np.ndarray | None = None
    ) -> np.ndarray:
        """Estimate an effect.

        Parameters
        ----------
        name, context
            Perturbation by its canonical name; context, which may be a new one.
        control_G
            Mean of the context's control cells.
        hidden_Q
            Measured effects that must not be used, bool; ``None``: all may be.

        Returns
        -------
        ndarray
            (G,) change in log-normalised expression.
        """
        seen_Q = np.ones(len(self.effects.rows), bool) if hidden_Q is None else ~hidden_Q
        names = self.effects.rows[PERTURBATION].to_numpy()
        if len(parts_of(name)) > 1 and not (seen_Q & (names == name)).any():
            parts = [self.estimate(part, context, control_G, hidden_Q) for part in parts_of(name)]
            return np.sum(parts, axis=0)
        own_Q = seen_Q & (names == name) & (self.effects.rows[CONTEXT].to_numpy() == context)
        prior_G = self._prior(name, control_G, seen_Q & ~own_Q)
        if not own_Q.any():
            return prior_G
        place = int(np.flatnonzero(own_Q)[0])
        trust = self.reliability_Q[place]
        return trust * self.effects.delta_QG[place] + (1 - trust) * prior_G

    def with_tables(self, tables: dict[str, np.ndarray]) -> "Start":
        """Return it with the numbers of stored tables: those of the effects, and ``feature_PF``."""
        doubled = {name: table.astype(np.float64) for name, table in tables.items()}
        features_PF = doubled.pop("feature_PF")
        singles = dict(zip(sorted(self.singles), features_PF, strict=True))
        return replace(self, effects=replace(self.effects, **doubled), singles=singles)

    def trust(self, name: str, context: str) -> float:
        """Return the weight of the measurement itself in an estimate, 0 where there is none."""
        rows = self.effects.rows
        own = (rows[PERTURBATION] == name) & (rows[CONTEXT] == context)
        return float(self.reliability_Q[own.to_numpy()].sum())

    @property
    def reliability_Q(self) -> np.ndarray:
        """Reliability of every measured effect."""
        return self.effects.reliability_Q

    def likeness(self, name: str) -> dict[str, float]:
        """Return the cosine of a perturbation's feature with that of every measured one."""
        own = joined_feature(name, self.singles)
        likeness = {}
        for other in sorted(set(self.effects.rows[PERTURBATION])):
            feature = joined_feature(other, self.singles)
            if own is not None and feature is not None:
                likeness[other] = float(own @ feature)
        return likeness

    def _prior(self, name: str, control_G: np.ndarray, usable_Q: np.ndarray) -> np.ndarray:
        """Estimate an effect from measurements that are not of it."""
        if not usable_Q.any():
            return np.zeros(self.effects.delta_QG.shape[1])
        logit_Q = self._context_cosines(control_G) / self.context_temperature
        names = self.effects.rows[PERTURBATION].to_numpy()
        bases = np.array([base_name(other) for other in names])
        distance_Q = np.array([dose_distance(name, other) for other in names])
        logit_Q = logit_Q - distance_Q / self.params.dose_temperature
        elsewhere_Q = usable_Q & (bases == base_name(name))
        if elsewhere_Q.any():
            return self._over_contexts(elsewhere_Q, logit_Q)[0]
        others = sorted(set(bases[usable_Q]))
        shrunk_PG = np.stack(
            [self._without_own(other, usable_Q & (bases == other), logit_Q) for other in others]
        )
        logit_P = np.zeros(len(others))
        if alike := {base_name(other): cosine for other, cosine in self.likeness(name).items()}:
            # What has no feature of its own is as unlike as can be.
            logit_P = np.array([alike.get(other, -1.0) for other in others])
        weight_P = softmax(logit_P / self.perturbation_temperature)
        others_PG = np.ones(shrunk_PG.shape)
        for place, other in enumerate(others):
            others_PG[place, self._own_of(other)] = 0
        share_G = weight_P @ others_PG
        summed_G = weight_P @ (others_PG * shrunk_PG)
        prior_G = np.divide(summed_G, share_G, out=np.zeros_like(summed_G), where=share_G > 0)
        own = self._own_of(name)
        prior_G[own] = self.own_ratio(usable_Q) * control_G[own]
        return prior_G

    def own_ratio(self, usable_Q: np.ndarray) -> float:
        """Return rho: change of a perturbed gene itself over its control mean, by weighted least squares.

        0 where no perturbation has its own gene measured.
        """
        above, below = 0.0, 0.0
        effects = self.effects
        for place in np.flatnonzero(usable_Q):
            own = self._own_of(effects.rows[PERTURBATION][place])
            level = effects.control_of(effects.rows[CONTEXT][place])[own]
            weight = 1 / np.maximum(effects.error_QG[place, own], _SMALL)
            above += float((weight * level * effects.delta_QG[place, own]).sum())
            below += float((weight * level**2).sum())
        return above / below if below > 0 else 0.0

    def _own_of(self, name: str) -> list[int]:
        bases = {base_and_dose(part)[0] for part in parts_of(name)}
        return sorted(
            {column for part, column in self.own.items() if base_and_dose(part)[0] in bases}
        )

    def _without_own(self, name: str, chosen_Q: np.ndarray, logit_Q: np.ndarray) -> np.ndarray:
        """Return what a perturbation does to other genes than its own, shrunk by its reliability."""
        own = self._own_of(name)
        delta_G, error_G = self._over_contexts(chosen_Q, logit_Q)
        delta_G[own], error_G[own] = 0, 0
        return delta_G * reliability(delta_G[None], error_G[None])[0]

    def _over_contexts(
        self, chosen_Q: np.ndarray, logit_Q: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return one perturbation's effect over its contexts, and its squared standard errors."""
        effects, places = self.effects, np.flatnonzero(chosen_Q)
        error_QG = effects.error_QG[places]
        precision_Q = 1 / np.maximum(error_QG.sum(axis=1), _SMALL)
        weight_Q = softmax(logit_Q[places]) * precision_Q
        weight_Q /= weight_Q.sum()
        return weight_Q @ effects.delta_QG[places], weight_Q**2 @ error_QG

    def _context_cosines(self, control_G: np.ndarray) -> np.ndarray:
        """Return the cosine of a context with that of every effect, from centred control means."""
        effects = self.effects
        centre_G = effects.control_CG.mean(axis=0)
        most = self.params.profile_genes
        kept = np.argsort(-effects.control_CG.var(axis=0), kind="stable")[:most]
        profiles = {
            name: _direction((effects.control_of(name) - centre_G)[kept])
            for name in set(effects.rows[CONTEXT])
        }
        own = _direction((control_G - centre_G)[kept])
        return np.array([own @ profiles[name] for name in effects.rows[CONTEXT]])


def _direction(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else vector
