"""The simple estimate of a perturbation's effect: measured effects, weighed by likeness and by error.

It is what the model begins with, and contains the mean of the training perturbations and the mean of
the other contexts. Legend: G genes, Q measured effects, F numbers of a feature, C contexts.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import softmax

from sc_mamba2.cells import base_and_dose, parts_of
from sc_mamba2.genes.pathways import pathway_features
from sc_mamba2.methods.mean_changes import reliability
from sc_mamba2.methods.own_gene import fit_fold, fold_effect
from sc_mamba2.methods.similar_effects import (
    damped_cosines,
    likeness_weights,
    weighed_effects,
)
from sc_mamba2.tasks.perturbation.effects import CELLS, Effects
from sc_mamba2.tasks.perturbation.features import (
    base_name,
    dose_distance,
    joined_feature,
)
from sc_mamba2.tasks.perturbation.params import StartParams
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION

MOST_NEAR = 3
# How measured perturbations may be weighed for one that was not; the first is the floor.
WEIGHTINGS = ("shrunken_mean", "pathways", "features", "both")


@dataclass(frozen=True, eq=False)
class EffectPrior:
    """Estimates the effect of a perturbation in a context.

    What was measured of a perturbation p in several contexts is one effect for the context c,

    ``delta_p(c) = sum_j b_j sum_q w_jq delta_q``

    over its measurements q. The weights w_jq sum to 1 for each j: by the number of cells n_q (the mean,
    which is the floor), and by ``n_q exp(cos(c, c_q) / T_j)``, with c control means; measurements at
    other doses weigh less by ``exp(-|log10 dose - log10 dose_q| / T_d)``. The shares b_j are earned by
    leaving contexts out. That is the estimate (``prior``)
    for a context or a dose in which p was not measured. A perturbation that was measured
    nowhere is estimated from all others, with r the reliability of delta_p(c):

    ``prior = sum_k a_k sum_p w_kp r_p delta_p(c)``

    so that what is noise draws towards no change. The weightings w_k are `WEIGHTINGS`: all alike (the
    shrunken mean, which is the floor), softmax by the likeness of pathways, by that of features, and by
    both. Their shares a_k are earned by leaving perturbations out, see `stacking_shares`. What shares no
    pathway and is like nothing by its features gets the shrunken mean alone. What a
    perturbation does to its own gene is left out of that sum; it is mixed from the sum over others and
    the fold change that n measured targets show of their own genes, which counts ``n / (n + 1)``.
    A combination that no context has is the sum of its parts. Where the very effect was measured, the
    answer is ``r delta + (1 - r) prior``.

    Attributes
    ----------
    effects
        What was measured.
    singles
        Unit vectors of single perturbations by name; those that are not described are absent.
    own
        Columns of single perturbations' own genes; see `own_columns`.
    targets
        Ensembl ids of single perturbations' genes, by which pathways are looked up.
    shares
        a_k by name of the weighting; empty: not fitted, the prior shares of `params`.
    context_shares
        b_j of the mean and of every T_j; empty: not fitted, the mean alone.
    params
        The temperatures, and the number of genes behind the likeness of contexts.
    """

    effects: Effects
    singles: dict[str, np.ndarray]
    own: dict[str, int] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    context_shares: tuple[float, ...] = ()
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
        parts = parts_of(name, self.effects.whole)
        if len(parts) > 1 and not (seen_Q & (names == name)).any():
            estimates = [self.estimate(part, context, control_G, hidden_Q) for part in parts]
            return np.sum(estimates, axis=0)
        own_Q = seen_Q & (names == name) & (self.effects.rows[CONTEXT].to_numpy() == context)
        prior_G = self._prior(name, control_G, seen_Q & ~own_Q)
        if not own_Q.any():
            return prior_G
        place = int(np.flatnonzero(own_Q)[0])
        weight = self.reliability_Q[place]
        return weight * self.effects.delta_QG[place] + (1 - weight) * prior_G

    def with_tables(self, tables: dict[str, np.ndarray]) -> "EffectPrior":
        """Return it with the numbers of stored tables: those of the effects, and ``feature_PF``."""
        doubled: dict[str, Any] = {name: table.astype(np.float64) for name, table in tables.items()}
        features_PF = doubled.pop("feature_PF")
        singles = dict(zip(sorted(self.singles), features_PF, strict=True))
        return replace(self, effects=replace(self.effects, **doubled), singles=singles)

    def measured_weight(self, name: str, context: str) -> float:
        """Return the weight of the measurement itself in an estimate, 0 where there is none."""
        rows = self.effects.rows
        own = (rows[PERTURBATION] == name) & (rows[CONTEXT] == context)
        return float(self.reliability_Q[own.to_numpy()].sum())

    @property
    def reliability_Q(self) -> np.ndarray:
        """Reliability of every measured effect."""
        return self.effects.reliability_Q

    def likenesses(self, name: str, others: list[str]) -> dict[str, np.ndarray]:
        """Return how alike a perturbation is to others: ``pathways`` and ``features``, (P,) each.

        0 where nothing is known of one of them; features that point away are not alike either.
        """
        whole = self.effects.whole
        groups = [
            [self.targets.get(part, "") for part in parts_of(one, whole)] for one in (name, *others)
        ]
        sets_PS = pathway_features(groups)
        pathways_P = damped_cosines(sets_PS[0], sets_PS[1:], self.params.pathway_evidence)
        own = joined_feature(name, self.singles, whole)
        features_P = np.zeros(len(others))
        for place, other in enumerate(others):
            feature = joined_feature(other, self.singles, whole)
            if own is not None and feature is not None:
                features_P[place] = own @ feature
        return {"pathways": pathways_P, "features": features_P}

    def weights(self, name: str, others: list[str]) -> np.ndarray:
        """Return what each weighting gives to each of the others, (K, P); rows sum to 1."""
        params, alike = self.params, self.likenesses(name, others)
        logit_KP = np.zeros((len(WEIGHTINGS), len(others)))
        if self.is_alike(alike):
            logit_KP[1] = alike["pathways"] / params.pathway_temperature
            logit_KP[2] = alike["features"] / params.feature_temperature
            logit_KP[3] = logit_KP[1] + logit_KP[2]
        return likeness_weights(logit_KP)

    def partners(self, name: str) -> dict[str, Any]:
        """Say by what an unseen perturbation is estimated from the measured ones.

        Returns
        -------
        dict
            ``by``: the likenesses that speak, of ``pathways`` and ``features``, empty where it is like no
            other; ``nearest``: those that weigh most, each with its ``weight`` (1 in all) and both likenesses.
        """
        everything_Q = np.ones(len(self.effects.rows), bool)
        own = base_name(name, self.effects.whole)
        others = [one for base, one in self._others(everything_Q).items() if base != own]
        if not others:
            return {"by": [], "nearest": {}}
        alike = self.likenesses(name, others)
        weight_P = self.share_K @ self.weights(name, others)
        least = {"pathways": self.params.least_pathways, "features": 0.0}
        speaks = self.is_alike(alike)
        nearest = np.argsort(-weight_P, kind="stable")[: MOST_NEAR * speaks]
        return {
            "by": [
                by for by in alike if speaks and alike[by].max() >= least[by] and alike[by].any()
            ],
            "nearest": {
                others[at]: {"weight": round(float(weight_P[at]), 3)}
                | {by: round(float(alike_P[at]), 3) for by, alike_P in alike.items()}
                for at in nearest
            },
        }

    def is_alike(self, likenesses: dict[str, np.ndarray]) -> bool:
        """Whether a perturbation is like any other, so that likeness may speak."""
        least = {"pathways": self.params.least_pathways, "features": self.params.least_features}
        return any(alike_P.max(initial=-1) >= least[by] for by, alike_P in likenesses.items())

    @property
    def share_K(self) -> np.ndarray:
        """Shares of the weightings, (K,), which sum to 1; those without a description have none."""
        if self.shares:
            return np.array([self.shares[name] for name in WEIGHTINGS])
        known = np.array([True, bool(self.targets), bool(self.singles), False])
        known[3] = known[1] and known[2]
        return known / known.sum()

    def _prior(self, name: str, control_G: np.ndarray, usable_Q: np.ndarray) -> np.ndarray:
        """Estimate an effect from measurements that are not of it."""
        if not usable_Q.any():
            return np.zeros(self.effects.delta_QG.shape[1])
        names = self.effects.rows[PERTURBATION].to_numpy()
        whole = self.effects.whole
        bases = np.array([base_name(other, whole) for other in names])
        distance_Q = np.array([dose_distance(name, other, whole) for other in names])
        logit_JQ = self.context_logits(control_G) - distance_Q / self.params.dose_temperature
        elsewhere_Q = usable_Q & (bases == base_name(name, whole))
        if elsewhere_Q.any():
            weight_Q = self.context_share_J @ softmax(logit_JQ[:, elsewhere_Q], axis=1)
            return np.asarray(weight_Q @ self.effects.delta_QG[elsewhere_Q])
        return self.share_K @ self.unseen(name, control_G, usable_Q, bases, logit_JQ)

    def unseen(
        self,
        name: str,
        control_G: np.ndarray,
        usable_Q: np.ndarray,
        bases: np.ndarray,
        logit_JQ: np.ndarray,
    ) -> np.ndarray:
        """Estimate an effect that was measured nowhere by every weighting, (K, G)."""
        others = self._others(usable_Q)
        shrunk_PG = np.stack(
            [
                self._without_own(other, usable_Q & (bases == base), logit_JQ)
                for base, other in others.items()
            ]
        )
        known_PG = np.ones(shrunk_PG.shape)
        for place, other in enumerate(others.values()):
            known_PG[place, self.own_of(other)] = 0
        weight_KP = self.weights(name, list(others.values()))
        prior_KG = weighed_effects(weight_KP, shrunk_PG, known_PG)
        own = self.own_of(name)
        fold, targets = self.own_fold(usable_Q)
        trust = targets / (targets + 1)
        prior_KG[:, own] *= 1 - trust
        prior_KG[:, own] += trust * fold_effect(fold, control_G[own])
        return prior_KG

    def _others(self, usable_Q: np.ndarray) -> dict[str, str]:
        """Return measured perturbations by their names without doses, each by one of its doses."""
        named = self.effects.rows[PERTURBATION].to_numpy()[usable_Q]
        return dict(sorted((base_name(one, self.effects.whole), str(one)) for one in named[::-1]))

    def own_fold(self, usable_Q: np.ndarray) -> tuple[float, int]:
        """Return the fold change of perturbed genes themselves, and how many targets show it."""
        effects = self.effects
        places = [
            (place, column)
            for place in np.flatnonzero(usable_Q)
            for column in self.own_of(effects.rows[PERTURBATION][place])
        ]
        levels = [effects.control_of(effects.rows[CONTEXT][at])[column] for at, column in places]
        changes = [effects.delta_QG[at, column] for at, column in places]
        targets = len({column for _, column in places})
        return fit_fold(np.array(levels), np.array(changes)), targets

    def own_of(self, name: str) -> list[int]:
        """Return the columns of a perturbation's own genes."""
        bases = {base_and_dose(part)[0] for part in parts_of(name, self.effects.whole)}
        return sorted(
            {column for part, column in self.own.items() if base_and_dose(part)[0] in bases}
        )

    def _without_own(self, name: str, chosen_Q: np.ndarray, logit_JQ: np.ndarray) -> np.ndarray:
        """Return what a perturbation does to other genes than its own, shrunk by its reliability."""
        own = self.own_of(name)
        weight_Q = self.context_share_J @ softmax(logit_JQ[:, chosen_Q], axis=1)
        delta_G = weight_Q @ self.effects.delta_QG[chosen_Q]
        error_G = weight_Q**2 @ self.effects.error_QG[chosen_Q]
        delta_G[own], error_G[own] = 0, 0
        return delta_G * reliability(delta_G[None], error_G[None])[0]

    @property
    def context_share_J(self) -> np.ndarray:
        """Shares of the ways to weigh contexts, (J,), which sum to 1; likeness has to earn one above the mean."""
        floor = (1.0, *(0.0 for _ in self.params.context_temperatures))
        return np.array(self.context_shares or floor)

    def context_logits(self, control_G: np.ndarray) -> np.ndarray:
        """Return the log weight of every effect for a context, (J, Q), by cells and by likeness.

        Likeness is the cosine of centred control means.
        """
        effects = self.effects
        centre_G = effects.control_CG.mean(axis=0)
        most = self.params.profile_genes
        kept = np.argsort(-effects.control_CG.var(axis=0), kind="stable")[:most]
        profiles = {
            name: _direction((effects.control_of(name) - centre_G)[kept])
            for name in set(effects.rows[CONTEXT])
        }
        own = _direction((control_G - centre_G)[kept])
        cosine_Q = np.array([own @ profiles[name] for name in effects.rows[CONTEXT]])
        cells_Q = np.log(effects.rows[CELLS].to_numpy(dtype=float))
        temperatures = self.params.context_temperatures
        return np.stack([cells_Q, *(cells_Q + cosine_Q / wide for wide in temperatures)])


def _direction(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else vector
