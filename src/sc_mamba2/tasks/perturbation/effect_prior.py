"""The simple estimate of a perturbation's effect: measured effects, weighed by likeness and by error.

It is what the model begins with, and contains the mean of the training perturbations and the mean of
the other contexts. Legend: G genes, Q measured effects, F numbers of a feature, C contexts.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.special import softmax

from sc_mamba2.cells import PerturbationNames, base_and_dose, learn_names, parts_of
from sc_mamba2.errors import UserError, nearest
from sc_mamba2.methods.mean_changes import reliability
from sc_mamba2.tasks.perturbation.effects import CELLS, Effects, pairs_of
from sc_mamba2.tasks.perturbation.features import (
    base_name,
    dose_distance,
    joined_feature,
    own_columns,
    single_features,
)
from sc_mamba2.tasks.perturbation.params import KeyParams, SplitKind, StartParams
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION, shown

_SMALL = 1e-12


@dataclass(frozen=True, eq=False)
class EffectPrior:
    """Estimates the effect of a perturbation in a context.

    What was measured of a perturbation p in several contexts is one effect for the context c,

    ``delta_p(c) = sum_q w_q delta_q / sum_q w_q``, ``w_q = exp(cos(c, c_q) / T_c) / e_q``,

    over its measurements q, with e_q the sum of their squared errors and c control means; those at other
    doses weigh less by ``exp(-|log10 dose - log10 dose_q| / T_d)``. That is the estimate (``prior``)
    for a context or a dose in which p was not measured. A perturbation that was measured
    nowhere is estimated from all others, with f their features and r the reliability of delta_p(c):

    ``prior = sum_p softmax_p(cos(f, f_p) / T_p) r_p delta_p(c)``

    so that what is noise draws towards no change; without a feature all others weigh alike. What a
    perturbation does to its own gene is left out of that sum and estimated by itself: it is ``rho`` times the
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

    def cosines(self, name: str) -> dict[str, float]:
        """Return the cosine of a perturbation's feature with that of every measured one."""
        whole = self.effects.whole
        own = joined_feature(name, self.singles, whole)
        cosines = {}
        for other in sorted(set(self.effects.rows[PERTURBATION])):
            feature = joined_feature(other, self.singles, whole)
            if own is not None and feature is not None:
                cosines[other] = float(own @ feature)
        return cosines

    def _prior(self, name: str, control_G: np.ndarray, usable_Q: np.ndarray) -> np.ndarray:
        """Estimate an effect from measurements that are not of it."""
        if not usable_Q.any():
            return np.zeros(self.effects.delta_QG.shape[1])
        logit_Q = self._context_cosines(control_G) / self.context_temperature
        names = self.effects.rows[PERTURBATION].to_numpy()
        whole = self.effects.whole
        bases = np.array([base_name(other, whole) for other in names])
        distance_Q = np.array([dose_distance(name, other, whole) for other in names])
        logit_Q = logit_Q - distance_Q / self.params.dose_temperature
        elsewhere_Q = usable_Q & (bases == base_name(name, whole))
        if elsewhere_Q.any():
            return self._over_contexts(elsewhere_Q, logit_Q)[0]
        others = sorted(set(bases[usable_Q]))
        shrunk_PG = np.stack(
            [self._without_own(other, usable_Q & (bases == other), logit_Q) for other in others]
        )
        logit_P = np.zeros(len(others))
        cosines = self.cosines(name)
        if alike := {base_name(other, whole): cosine for other, cosine in cosines.items()}:
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
        bases = {base_and_dose(part)[0] for part in parts_of(name, self.effects.whole)}
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


def fit_effect_prior(
    effects: Effects,
    singles: dict[str, np.ndarray],
    params: StartParams,
    own: dict[str, int] | None = None,
) -> EffectPrior:
    """Choose the temperatures by leaving out, from training effects alone.

    Each effect is estimated without itself for T_c, without all of its perturbation for T_p; the
    value with the smallest ``sum_q r_q |estimate_q - delta_q|^2 / |delta_q|^2`` is kept, for T_p over
    perturbations with their contexts together.

    Parameters
    ----------
    effects
        Training effects.
    singles
        Features of single perturbations.
    params
        Candidates, and what else the estimate needs.
    own
        Columns of single perturbations' own genes; ``None``: they are genes like others.
    """
    prior = EffectPrior(effects, singles, own or {}, params=params)
    if len(set(effects.rows[CONTEXT])) > 2:
        candidates = params.context_temperatures
        prior = _best(prior, "context_temperature", candidates, "unseen_context")
    else:  # of two contexts each has one other: nothing to choose, and all weigh alike
        prior = replace(prior, context_temperature=max(params.context_temperatures))
    if effects.rows[PERTURBATION].nunique() > 2 and singles:
        candidates = params.perturbation_temperatures
        prior = _best(prior, "perturbation_temperature", candidates, "unseen_perturbation")
    return prior


def described(prior: EffectPrior, keys: KeyParams, names: Iterable[str]) -> EffectPrior:
    """Return the prior with what describes more perturbations, where anything does."""
    every = {part for name in names for part in parts_of(name, prior.effects.whole)}
    parts = sorted(every - prior.singles.keys())
    # A row of a person's table, and any gene, describes every dose.
    bases = {part: base_and_dose(part)[0] for part in parts}
    singles = {p: prior.singles[base] for p, base in bases.items() if base in prior.singles}
    missing = [part for part in parts if part not in singles]
    if missing and keys.feature_file is None:
        singles |= single_features(missing, keys)
    if singles:
        prior = replace(prior, singles={**prior.singles, **singles})
    if prior.own:  # an ablation may have taken the own genes away
        own = own_columns(every, prior.effects.genes, keys)
        prior = replace(prior, own={**prior.own, **own})
    return prior


def names_of(prior: EffectPrior, keys: KeyParams, names: Iterable[str] = ()) -> PerturbationNames:
    """Return what names mean to a prior: those that it measured, that are described, and more."""
    known = {*prior.effects.rows[PERTURBATION], *prior.singles, *names}
    parts = {part for name in known for part in parts_of(name, prior.effects.whole)}
    return replace(learn_names(known | parts, keys.rules), whole=prior.effects.whole)


def known_prior(
    prior: EffectPrior, keys: KeyParams, *names: str, measured: Iterable[str] = ()
) -> EffectPrior:
    """Return the prior with what describes more perturbations, or refuse one of them.

    `measured` are perturbations that have cells which the prior does not know yet.

    Raises
    ------
    UserError
        Rule ``perturbation-unknown``: a part of it was never seen, and nothing describes it.
    """
    whole = prior.effects.whole
    seen = sorted({*prior.effects.rows[PERTURBATION], *measured})
    bases = {base_name(other, whole) for other in seen}
    prior = described(prior, keys, names)
    for name in names:
        parts = [
            part
            for part in parts_of(name, whole)
            if base_and_dose(part)[0] not in bases and part not in prior.singles
        ]
        if parts and name not in seen:
            lacks = "is no gene that the checkpoint of gene embeddings knows"
            if keys.feature_file is not None or keys.kind == "chemical":
                lacks = "has no row of features"
            raise UserError(
                "perturbation-unknown",
                found=f"'{parts[0]}', which no training cell had, and which {lacks}",
                expected=f"one that was seen ({shown(seen, 5)}), "
                "or one that is described by its gene or by a table",
                mend="give --perturbation-features FILE with a row for it"
                + nearest(parts[0], {*seen, *prior.singles}),
            )
    return prior


def left_out_estimates(prior: EffectPrior, kind: SplitKind) -> np.ndarray:
    """Estimate every measured effect as if the split had held it out, (Q, G).

    With ``unseen_context`` without what was measured in its context, with ``unseen_perturbation`` and
    ``unseen_combination`` without its perturbation, with ``random_cells`` without itself.
    """
    rows = prior.effects.rows
    estimates = []
    for place, (name, context) in enumerate(pairs_of(rows)):
        hidden = {
            "unseen_context": (rows[CONTEXT] == context).to_numpy(),
            "random_cells": np.arange(len(rows)) == place,
        }.get(kind, (rows[PERTURBATION] == name).to_numpy())
        control_G = prior.effects.control_of(context)
        estimates.append(prior.estimate(name, context, control_G, hidden))
    return np.stack(estimates)


def ensemble_estimates(
    prior: EffectPrior, name: str, context: str, control_G: np.ndarray, count: int, seed: int
) -> np.ndarray:
    """Estimate an effect from resampled measurements, (count, G).

    In each resample every measured effect is moved by its own standard error, and of the perturbations
    those are left that a draw with replacement takes, about two thirds, each once; the requested one,
    and its parts, stay, at any dose. For `name`, `context` and `control_G` see `EffectPrior.estimate`.
    """
    generator = np.random.default_rng(seed)
    effects = prior.effects
    names = effects.rows[PERTURBATION].to_numpy()
    whole = effects.whole
    bases = {base_name(one, whole) for one in (name, *parts_of(name, whole))}
    kept = {other for other in set(names) if base_name(other, whole) in bases}
    others = sorted(set(names) - kept)
    estimates = []
    for _ in range(count):
        noise_QG = generator.standard_normal(effects.delta_QG.shape) * np.sqrt(effects.error_QG)
        moved = replace(effects, delta_QG=effects.delta_QG + noise_QG)
        drawn = set(generator.choice(others, len(others))) if others else set()
        hidden_Q = ~np.isin(names, list(drawn | kept))
        again = replace(prior, effects=moved)
        estimates.append(again.estimate(name, context, control_G, hidden_Q))
    return np.stack(estimates)


def _best(
    prior: EffectPrior, name: str, candidates: Iterable[float], kind: SplitKind
) -> EffectPrior:
    changed: list[dict[str, Any]] = [{name: value} for value in candidates]
    tried = [replace(prior, **one) for one in changed]
    return tried[int(np.argmin([_left_out_loss(candidate, kind) for candidate in tried]))]


def _left_out_loss(prior: EffectPrior, kind: SplitKind) -> float:
    effects = prior.effects
    estimate_QG = left_out_estimates(prior, kind)
    groups: Any = [[place] for place in range(len(effects.rows))]
    if kind == "unseen_perturbation":  # contexts together: less noise to choose by
        groups = effects.rows.groupby(PERTURBATION).indices.values()
    loss = 0.0
    for places in groups:
        weight_Q = effects.rows[CELLS].to_numpy(dtype=float)[places]
        weight_Q = weight_Q / weight_Q.sum()
        delta_G = weight_Q @ effects.delta_QG[places]
        weight = reliability(delta_G[None], (weight_Q**2 @ effects.error_QG[places])[None])[0]
        error_G = weight_Q @ estimate_QG[places] - delta_G
        loss += float(weight * (error_G @ error_G) / max(delta_G @ delta_G, _SMALL))
    return loss


def _direction(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length > 0 else vector
