"""Fit an effect prior by leave-out; estimate effects as if held out, or from resampled measurements.

Legend: G genes, Q measured effects, J ways to weight contexts, K weightings of perturbations.
"""

from dataclasses import replace

import numpy as np
from scipy.special import softmax

from sc_mamba2.cells import parts_of
from sc_mamba2.methods.mean_changes import reliability
from sc_mamba2.methods.similar_effects import stacking_shares
from sc_mamba2.tasks.perturbation.effect_prior import WEIGHTINGS, EffectPrior
from sc_mamba2.tasks.perturbation.effects import CELLS, Effects, pairs_of
from sc_mamba2.tasks.perturbation.features import base_name
from sc_mamba2.tasks.perturbation.params import SplitKind, StartParams
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION

_SMALL = 1e-12


def fit_effect_prior(
    effects: Effects,
    singles: dict[str, np.ndarray],
    params: StartParams,
    own: dict[str, int] | None = None,
    targets: dict[str, str] | None = None,
) -> EffectPrior:
    """Fit the shares of the prior by leave-out, on training effects only.

    The ways to weight contexts are stacked over effects with their context left out, the weightings of
    perturbations over effects with all contexts of the perturbation left out; both minimise
    ``sum r |estimate - delta|^2 / |delta|^2``, see `stacking_shares`.

    Parameters
    ----------
    effects
        Training effects.
    singles
        Features of single perturbations.
    params
        Temperatures, thresholds, strength of the stacking.
    own
        Columns of single perturbations' own genes; ``None``: own genes are treated as any other.
    targets
        Ensembl ids of single perturbations' genes; ``None``: pathways are not used.
    """
    prior = EffectPrior(effects, singles, own or {}, targets or {}, params=params)
    prior = replace(prior, context_shares=_fit_context_shares(prior))
    return replace(prior, shares=_fit_shares(prior))


def _fit_context_shares(prior: EffectPrior) -> tuple[float, ...]:
    """Stack the ways to weight contexts over effects whose context is left out in turn."""
    effects, prior_J = prior.effects, prior.context_share_J
    names, contexts = (effects.rows[column].to_numpy() for column in (PERTURBATION, CONTEXT))
    errors, weights = [], []
    for place, trust in enumerate(effects.reliability_Q):
        others_Q = (names == names[place]) & (contexts != contexts[place])
        if trust and others_Q.sum() > 1:  # with one other context all ways agree
            control_G, delta_G = effects.control_of(contexts[place]), effects.delta_QG[place]
            weight_JQ = softmax(prior.context_logits(control_G)[:, others_Q], axis=1)
            errors.append(weight_JQ @ effects.delta_QG[others_Q] - delta_G)
            weights.append(trust / max(float(delta_G @ delta_G), _SMALL))
    if not errors:
        return tuple(map(float, prior_J))
    strength = prior.params.stacking_strength
    return tuple(
        map(float, stacking_shares(np.stack(errors), np.array(weights), prior_J, strength))
    )


def _fit_shares(prior: EffectPrior) -> dict[str, float]:
    """Stack the weightings over single perturbations, each left out in turn."""
    effects, prior_K = prior.effects, prior.share_K
    names = effects.rows[PERTURBATION].to_numpy()
    bases = np.array([base_name(name, effects.whole) for name in names])
    errors, weights = [], []
    used = np.flatnonzero(prior_K)
    parts = [{base_name(one, effects.whole) for one in parts_of(n, effects.whole)} for n in names]
    for name in sorted({base for base, own in zip(bases, parts, strict=True) if len(own) == 1}):
        hidden_Q = np.array([name in own for own in parts])
        if hidden_Q.all():
            continue
        places = np.flatnonzero(bases == name)
        delta_G, error_G = _mean_effect(effects, places)
        if not (trust := reliability(delta_G[None], error_G[None])[0]):
            continue
        control_G = effects.control_CG.mean(axis=0)
        logit_JQ = prior.context_logits(control_G)
        one = str(names[places[0]])
        estimate_KG = prior.unseen(one, control_G, ~hidden_Q, bases, logit_JQ)[used]
        error_KG = estimate_KG - delta_G
        error_KG[:, prior.own_of(name)] = 0  # all weightings agree there
        errors.append(error_KG)
        weights.append(trust / max(float(delta_G @ delta_G), _SMALL))
    share_K = prior_K.copy()
    if len(errors) > 1 and len(used) > 1:
        share_K[used] = stacking_shares(
            np.stack(errors), np.array(weights), prior_K[used], prior.params.stacking_strength
        )
    return dict(zip(WEIGHTINGS, map(float, share_K), strict=True))


def left_out_estimates(prior: EffectPrior, kind: SplitKind) -> np.ndarray:
    """Estimate every measured effect as if the split had held it out, (Q, G).

    Left out are all effects in its context (``unseen_context``), all of its perturbation
    (``unseen_perturbation``, ``unseen_combination``), or the effect alone (``random_cells``).
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

    Each resample adds normal noise of each effect's standard error, and keeps only the perturbations in a
    draw with replacement (about two thirds, each once); the requested one and its parts always stay, at any
    dose. For `name`, `context` and `control_G` see `EffectPrior.estimate`.
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


def _mean_effect(effects: Effects, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of some effects, weighted by cells, and its squared standard errors."""
    weight_Q = effects.rows[CELLS].to_numpy(dtype=float)[places]
    weight_Q /= weight_Q.sum()
    return weight_Q @ effects.delta_QG[places], weight_Q**2 @ effects.error_QG[places]
