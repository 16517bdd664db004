"""The simple estimate of a perturbation's effect: measured effects, weighted by similarity and error.

The model starts from it. The mean of the training perturbations and the mean of the other contexts are
special cases. Legend: G genes, Q measured effects, F numbers of a feature, C contexts.
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
    similarity_weights,
    weighted_effects,
)
from sc_mamba2.tasks.perturbation.effects import CELLS, Effects
from sc_mamba2.tasks.perturbation.features import (
    base_name,
    dose_distance,
    joined_feature,
)
from sc_mamba2.tasks.perturbation.params import StartParams
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION

MAX_NEIGHBOURS = 3
# Ways to weight measured perturbations for an unmeasured one; the first is the fallback.
WEIGHTINGS = ("shrunken_mean", "pathways", "features", "both")


@dataclass(frozen=True, eq=False)
class EffectPrior:
    """Estimates the effect of a perturbation in a context.

    For a perturbation p that was measured in other contexts or at other doses, the estimate (``prior``)
    for context c is a weighted mean over its measurements q,

    ``delta_p(c) = sum_j b_j sum_q w_jq delta_q``

    The weights w_jq sum to 1 for each j. They are the number of cells n_q (the mean, the fallback) or
    ``n_q exp(cos(c, c_q) / T_j)``, with c control means; other doses are down-weighted by
    ``exp(-|log10 dose - log10 dose_q| / T_d)``. The shares b_j are fitted by leaving contexts out. A
    perturbation that was never measured is estimated from all others, with r the reliability of delta_p(c):

    ``prior = sum_k a_k sum_p w_kp r_p delta_p(c)``

    so that noisy effects shrink to no change. The weightings w_k are `WEIGHTINGS`: uniform (the shrunken
    mean, the fallback), softmax over the similarity of pathways, of features, and of both. Their shares a_k
    are fitted by leaving perturbations out, see `stacking_shares`. A perturbation that shares no pathway and
    has no similar features gets the shrunken mean alone. A perturbation's effect on its own gene is left
    out of that sum; the own gene's change mixes the sum over others with the fold change that n measured
    targets show in their own genes, with weight ``n / (n + 1)``. A combination measured in no context is
    the sum of its parts. An effect that was itself measured is ``r delta + (1 - r) prior``.

    Attributes
    ----------
    effects
        Measured effects.
    singles
        Unit feature vectors of single perturbations by name; those without features are absent.
    own
        Columns of single perturbations' own genes; see `own_columns`.
    targets
        Ensembl ids of single perturbations' genes, for looking up pathways.
    shares
        a_k by name of the weighting; empty: not fitted, equal shares (see `share_K`).
    context_shares
        b_j of the mean and of every T_j; empty: not fitted, the mean alone.
    params
        Temperatures, and the number of genes for the similarity of contexts.
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
            Canonical name of the perturbation; context, which may be new.
        control_G
            Mean of the context's control cells.
        hidden_Q
            Measured effects not to use, bool; ``None``: use all.

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
        """Return a copy with the values of stored tables: those of the effects, and ``feature_PF``."""
        doubled: dict[str, Any] = {name: table.astype(np.float64) for name, table in tables.items()}
        features_PF = doubled.pop("feature_PF")
        singles = dict(zip(sorted(self.singles), features_PF, strict=True))
        return replace(self, effects=replace(self.effects, **doubled), singles=singles)

    def measured_weight(self, name: str, context: str) -> float:
        """Return the weight of the measured effect itself in an estimate, 0 if not measured."""
        rows = self.effects.rows
        own = (rows[PERTURBATION] == name) & (rows[CONTEXT] == context)
        return float(self.reliability_Q[own.to_numpy()].sum())

    @property
    def reliability_Q(self) -> np.ndarray:
        """Reliability of every measured effect."""
        return self.effects.reliability_Q

    def similarities(self, name: str, others: list[str]) -> dict[str, np.ndarray]:
        """Return the similarity of a perturbation to others: ``pathways`` and ``features``, (P,) each.

        0 if either has no description; cosines of features may be negative.
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
        """Return the weights of the other perturbations by weighting, (K, P); rows sum to 1."""
        params, similar = self.params, self.similarities(name, others)
        logit_KP = np.zeros((len(WEIGHTINGS), len(others)))
        if self.is_similar(similar):
            logit_KP[1] = similar["pathways"] / params.pathway_temperature
            logit_KP[2] = similar["features"] / params.feature_temperature
            logit_KP[3] = logit_KP[1] + logit_KP[2]
        return similarity_weights(logit_KP)

    def partners(self, name: str) -> dict[str, Any]:
        """Explain how an unseen perturbation is estimated from the measured ones.

        Returns
        -------
        dict
            ``by``: the similarities in use, of ``pathways`` and ``features``, empty if none is high enough;
            ``nearest``: the `MAX_NEIGHBOURS` highest weights, with both similarities (all weights sum to 1).
        """
        all_Q = np.ones(len(self.effects.rows), bool)
        own = base_name(name, self.effects.whole)
        others = [one for base, one in self._others(all_Q).items() if base != own]
        if not others:
            return {"by": [], "nearest": {}}
        similar = self.similarities(name, others)
        weight_P = self.share_K @ self.weights(name, others)
        least = {"pathways": self.params.least_pathways, "features": 0.0}
        used = self.is_similar(similar)
        nearest = np.argsort(-weight_P, kind="stable")[: MAX_NEIGHBOURS * used]
        return {
            "by": [
                by
                for by in similar
                if used and similar[by].max() >= least[by] and similar[by].any()
            ],
            "nearest": {
                others[at]: {"weight": round(float(weight_P[at]), 3)}
                | {by: round(float(similar_P[at]), 3) for by, similar_P in similar.items()}
                for at in nearest
            },
        }

    def is_similar(self, similarities: dict[str, np.ndarray]) -> bool:
        """Whether a perturbation is similar enough to any other for similarity to be used."""
        least = {"pathways": self.params.least_pathways, "features": self.params.least_features}
        return any(similar_P.max(initial=-1) >= least[by] for by, similar_P in similarities.items())

    @property
    def share_K(self) -> np.ndarray:
        """Shares of the weightings, (K,), summing to 1; if not fitted, equal over the usable ones."""
        if self.shares:
            return np.array([self.shares[name] for name in WEIGHTINGS])
        known = np.array([True, bool(self.targets), bool(self.singles), False])
        known[3] = known[1] and known[2]
        return known / known.sum()

    def _prior(self, name: str, control_G: np.ndarray, usable_Q: np.ndarray) -> np.ndarray:
        """Estimate an effect from other measurements."""
        if not usable_Q.any():
            return np.zeros(self.effects.delta_QG.shape[1])
        names = self.effects.rows[PERTURBATION].to_numpy()
        whole = self.effects.whole
        bases = np.array([base_name(other, whole) for other in names])
        distance_Q = np.array([dose_distance(name, other, whole) for other in names])
        logit_JQ = self.context_logits(control_G) - distance_Q / self.params.dose_temperature
        others_Q = usable_Q & (bases == base_name(name, whole))
        if others_Q.any():
            weight_Q = self.context_share_J @ softmax(logit_JQ[:, others_Q], axis=1)
            return np.asarray(weight_Q @ self.effects.delta_QG[others_Q])
        return self.share_K @ self.unseen(name, control_G, usable_Q, bases, logit_JQ)

    def unseen(
        self,
        name: str,
        control_G: np.ndarray,
        usable_Q: np.ndarray,
        bases: np.ndarray,
        logit_JQ: np.ndarray,
    ) -> np.ndarray:
        """Estimate an effect that was never measured, by every weighting, (K, G)."""
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
        prior_KG = weighted_effects(weight_KP, shrunk_PG, known_PG)
        own = self.own_of(name)
        fold, targets = self.own_gene_fold_change(usable_Q)
        weight = targets / (targets + 1)
        prior_KG[:, own] *= 1 - weight
        prior_KG[:, own] += weight * fold_effect(fold, control_G[own])
        return prior_KG

    def _others(self, usable_Q: np.ndarray) -> dict[str, str]:
        """Map each measured perturbation's name without dose to its name at one of its doses."""
        named = self.effects.rows[PERTURBATION].to_numpy()[usable_Q]
        return dict(sorted((base_name(one, self.effects.whole), str(one)) for one in named[::-1]))

    def own_gene_fold_change(self, usable_Q: np.ndarray) -> tuple[float, int]:
        """Return the fold change of the perturbed genes themselves, and the number of such genes."""
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
        """Return a perturbation's effect on all but its own genes, shrunk by its reliability."""
        own = self.own_of(name)
        weight_Q = self.context_share_J @ softmax(logit_JQ[:, chosen_Q], axis=1)
        delta_G = weight_Q @ self.effects.delta_QG[chosen_Q]
        error_G = weight_Q**2 @ self.effects.error_QG[chosen_Q]
        delta_G[own], error_G[own] = 0, 0
        return delta_G * reliability(delta_G[None], error_G[None])[0]

    @property
    def context_share_J(self) -> np.ndarray:
        """Shares of the ways to weight contexts, (J,), summing to 1; the mean alone if not fitted."""
        floor = (1.0, *(0.0 for _ in self.params.context_temperatures))
        return np.array(self.context_shares or floor)

    def context_logits(self, control_G: np.ndarray) -> np.ndarray:
        """Return log weights of effects for a context, (J, Q), by number of cells and similarity.

        Similarity is the cosine of centred control means.
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
