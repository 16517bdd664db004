"""Baselines, and variants of the model for ablations.

A baseline is a function of the training effects, a perturbation's name, its context, and the
parameters. Legend: T held-out effects, G genes, K components, M training perturbations whose genes are
measured.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.cells import parts_of
from sc_mamba2.genes.pathways import pathway_features
from sc_mamba2.methods.mean_changes import reliability
from sc_mamba2.methods.similar_effects import damped_cosines, kernel_ridge_effect
from sc_mamba2.model import Backbone
from sc_mamba2.tasks.perturbation.effect_prior import EffectPrior
from sc_mamba2.tasks.perturbation.effects import (
    CELLS,
    Effects,
    effect_rows,
    groups_of,
    pairs_of,
    sides_of,
)
from sc_mamba2.tasks.perturbation.features import gene_ids
from sc_mamba2.tasks.perturbation.fit import gate_layers, held_out_rows, new_model
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.params import AblationParams, ScoreParams, Variant
from sc_mamba2.tasks.perturbation.predict import predicted_effects
from sc_mamba2.tasks.perturbation.prior_fit import fit_effect_prior
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.params import FineTuneParams, PredictParams
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions

Baseline = Callable[[Effects, str, str, ScoreParams], np.ndarray]


def compare(
    scored_model: PerturbationModel,
    untrained_model: PerturbationModel,
    effect_prior: EffectPrior,
    split: pd.DataFrame,
    training_cells: AnnData,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    test_tokens: TokenizedCells,
    test_outputs: dict[str, np.ndarray],
    fine_tuning: FineTuneParams,
    prediction: PredictParams,
    evaluation: ScoreParams,
    ablations: AblationParams,
    compute: ComputeOptions,
) -> dict[str, np.ndarray]:
    """Predict the held-out effects by the model, every baseline and the named variants.

    Returns
    -------
    dict
        (T, G) by method, ``model`` first. Variants are trained here, in the same way as the model; those
        of the Mamba2 layers are left out if the model has none.
    """
    control = scored_model.keys.control
    rows = effect_rows(groups_of(held_out_rows(split, control)))
    controls = sides_of(training_cells, control)[1]

    def predicted(model: PerturbationModel, outputs: dict[str, np.ndarray]) -> np.ndarray:
        return predicted_effects(model, rows, test_tokens.obs, outputs["code"], controls)

    effects = {"model": predicted(scored_model, test_outputs)}
    for name, method in BASELINES.items():
        of_pairs = [method(effect_prior.effects, *pair, evaluation) for pair in pairs_of(rows)]
        effects[name] = np.stack(of_pairs)
    for name in ablations.names:
        if name.startswith("trunk") and "trunk" not in scored_model.head.paths:
            continue
        options = fine_tuning
        if name == "trunk_frozen":
            options = fine_tuning.model_copy(update={"mode": "frozen"})
        model: Any = variant(name, untrained_model.backbone, scored_model, compute.seed)
        model, _ = fine_tune(model, training_tokens, validation_tokens, options, compute)
        model, _ = gate_layers(model, training_tokens, validation_tokens, compute)
        effects[name] = predicted(model, predict(model, test_tokens, prediction, compute))
    return effects


def variant(
    name: Variant, backbone: Backbone, model: PerturbationModel, seed: int
) -> PerturbationModel:
    """Return an untrained variant of a model.

    Parameters
    ----------
    name
        ``start_alone``: without the Mamba2 layers; ``trunk_alone``: without the simple estimate;
        ``trunk_frozen``: like the model; the caller freezes its backbone; ``no_perturbation_embedding``:
        without features and pathways; ``no_own_gene``: the own gene is treated as any other.
    backbone
        Untrained; it is copied.
    model, seed
        Source of everything else; seed of the new head.
    """
    prior, head = model.prior, model.head
    if name == "no_perturbation_embedding":
        prior = fit_effect_prior(prior.effects, {}, prior.params, prior.own)
    elif name == "no_own_gene":
        prior = fit_effect_prior(prior.effects, prior.singles, prior.params, None, prior.targets)
    paths = {"start_alone": ("start",), "trunk_alone": ("trunk",)}.get(name, head.paths)
    head = head.model_copy(update={"paths": paths})
    trunk = copy.deepcopy(backbone)
    return new_model(trunk, model.tokenizer, prior, model.keys, head, model.kind, seed)


def no_change(effects: Effects, name: str, context: str, params: ScoreParams) -> np.ndarray:
    """Return zeros, (G,): perturbed cells equal control cells."""
    return np.zeros(len(effects.genes))


def training_mean(effects: Effects, name: str, context: str, params: ScoreParams) -> np.ndarray:
    """Return the mean over training perturbations, each the mean of its cells over contexts, (G,).

    The baseline that is hardest to beat on unseen perturbations (Ahlmann-Eltze 2025; Csendes 2025).
    """
    return np.mean(list(pooled_effects(effects).values()), axis=0)


def shrunken_mean(effects: Effects, name: str, context: str, params: ScoreParams) -> np.ndarray:
    """Return the mean over training perturbations, each shrunk by its reliability, (G,).

    ``mean_p r_p delta_p``: noisy effects shrink to no change; see `methods.mean_changes.reliability`.
    """
    pooled, errors = pooled_effects(effects), pooled_effects(effects, errors=True)
    delta_PG, error_PG = np.stack(list(pooled.values())), np.stack(list(errors.values()))
    return np.asarray((reliability(delta_PG, error_PG)[:, None] * delta_PG).mean(axis=0))


def matching_mean(effects: Effects, name: str, context: str, params: ScoreParams) -> np.ndarray:
    """Return the mean of the matching effects, (G,) (Systema, Vinas Torne 2025).

    These are the perturbation's effects in other contexts; else, for a combination, the mean of its parts'
    means; else the effects of all perturbations in this context; else the training mean.
    """
    names = effects.rows[PERTURBATION].to_numpy()
    if (names == name).any():
        return np.asarray(effects.delta_QG[names == name].mean(axis=0))
    parts = [names == part for part in parts_of(name, effects.whole) if (names == part).any()]
    if parts:
        return np.mean([effects.delta_QG[part_Q].mean(axis=0) for part_Q in parts], axis=0)
    here = (effects.rows[CONTEXT] == context).to_numpy()
    if here.any():
        return np.asarray(effects.delta_QG[here].mean(axis=0))
    return training_mean(effects, name, context, params)


def additive(effects: Effects, name: str, context: str, params: ScoreParams) -> np.ndarray:
    """Return the sum of the parts' effects, (G,); an unseen part adds the training mean."""
    pooled = pooled_effects(effects)
    mean_G = training_mean(effects, name, context, params)
    return np.sum([pooled.get(part, mean_G) for part in parts_of(name, effects.whole)], axis=0)


def ridge(effects: Effects, name: str, context: str, params: ScoreParams) -> np.ndarray:
    """Predict an effect from the components of the perturbed gene, (G,) (Ahlmann-Eltze 2025).

    ``Y = G W P^T + b`` with Y the training effects (genes x perturbations), b their mean, G the first
    K left singular vectors times singular values of ``Y - b`` and the contexts' control means, and P
    the rows of G at the perturbed genes; ``W = (G^T G + l I)^-1 G^T (Y - b) P (P^T P + l I)^-1``, with l
    in units of the mean diagonal entry of the Gram matrix. A combination uses the sum of its genes' rows.
    A perturbation with no measured gene gets b.
    """
    pooled = pooled_effects(effects)
    mean_G = training_mean(effects, name, context, params)
    centred_GM = np.stack([delta_G - mean_G for delta_G in pooled.values()], axis=1)
    levels_GC = effects.control_CG.T - effects.control_CG.mean()
    components_GK = _components(np.hstack([centred_GM, levels_GC]), params.components)
    rows = [_row(other, effects, components_GK) for other in pooled]
    own_K = _row(name, effects, components_GK)
    known = [place for place, row in enumerate(rows) if row is not None]
    if own_K is None or not known:
        return mean_G
    row_MK = np.stack([row for row in rows if row is not None])
    left = _solve(components_GK, components_GK.T @ centred_GM[:, known], params.ridge)
    weight_KK = _solve(row_MK, (left @ row_MK).T, params.ridge).T
    return mean_G + components_GK @ (weight_KK @ own_K)


def ridge_reactome(effects: Effects, name: str, context: str, params: ScoreParams) -> np.ndarray:
    """Predict an effect by ridge regression on Reactome membership, (G,); see `kernel_ridge_effect`.

    For a combination the memberships of its genes are added.
    """
    pooled = pooled_effects(effects)
    groups = [gene_ids(parts_of(one, effects.whole)).values() for one in (name, *pooled)]
    sets_PS = pathway_features(groups)
    similarity_PP = np.stack([damped_cosines(sets_S, sets_PS) for sets_S in sets_PS])
    effect_PG = np.stack(list(pooled.values()))
    return kernel_ridge_effect(similarity_PP[1:, 1:], similarity_PP[0, 1:], effect_PG, list(RIDGES))


RIDGES = (0.1, 0.3, 1.0, 3.0)
BASELINES: dict[str, Baseline] = {
    method.__name__: method
    for method in (
        no_change,
        training_mean,
        shrunken_mean,
        matching_mean,
        additive,
        ridge,
        ridge_reactome,
    )
}


def pooled_effects(effects: Effects, errors: bool = False) -> dict[str, np.ndarray]:
    """Return each perturbation's effect over its contexts, weighted by cells, by sorted name.

    With `errors` return squared standard errors instead.
    """
    groups = effects.rows.groupby(PERTURBATION).indices
    pooled = {}
    for name, rows in sorted(groups.items()):
        weight_Q = effects.rows[CELLS].to_numpy(dtype=float)[rows]
        weight_Q /= weight_Q.sum()
        table_QG = effects.error_QG if errors else effects.delta_QG
        pooled[str(name)] = (weight_Q**2 if errors else weight_Q) @ table_QG[rows]
    return pooled


def _components(matrix_GX: np.ndarray, count: int) -> np.ndarray:
    left_GK, values_K, _ = np.linalg.svd(matrix_GX, full_matrices=False)
    count = max(1, min(count, int((values_K > 1e-9).sum())))
    return left_GK[:, :count] * values_K[:count]


def _row(name: str, effects: Effects, components_GK: np.ndarray) -> np.ndarray | None:
    places = {ident: place for place, ident in enumerate(effects.genes)}
    ids = gene_ids(parts_of(name, effects.whole)).values()
    rows = [components_GK[places[ident]] for ident in ids if ident in places]
    return np.sum(rows, axis=0) if rows else None


def _solve(features_XK: np.ndarray, right_KY: np.ndarray, strength: float) -> np.ndarray:
    gram_KK = features_XK.T @ features_XK
    unit = max(float(np.trace(gram_KK)) / len(gram_KK), 1e-12)
    return np.asarray(np.linalg.solve(gram_KK + strength * unit * np.eye(len(gram_KK)), right_KY))
