"""What each part of the model is worth: variants trained in the same way, scored on the same cells."""

import copy

import numpy as np
from anndata import AnnData

from sc_mamba2.model import Backbone
from sc_mamba2.tasks.perturbation.fit_effect_prior import fit_start
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.params import AblationParams, StartParams, Variant
from sc_mamba2.tasks.perturbation.predict import predicted_effects
from sc_mamba2.tasks.perturbation.training import keep_what_helps, new_model
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.params import FineTuneParams, PredictParams
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions


def run_ablations(
    backbone: Backbone,
    model: PerturbationModel,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    test_tokens: TokenizedCells,
    test_rows,
    controls: AnnData,
    start_params: StartParams,
    fine_tuning: FineTuneParams,
    prediction: PredictParams,
    params: AblationParams,
    compute: ComputeOptions,
) -> dict[str, np.ndarray]:
    """Train every variant and predict the held-out effects with it.

    Returns
    -------
    dict
        (T, G) effects by name of the variant. Variants of the Mamba2 layers are left out where the
        model has none.
    """
    found = {}
    for name in params.names:
        if name.startswith("trunk") and "trunk" not in model.head.paths:
            continue
        untrained = variant(name, backbone, model, start_params, compute.seed)
        options = fine_tuning
        if name == "trunk_frozen":
            options = fine_tuning.model_copy(update={"mode": "frozen"})
        trained, _ = fine_tune(untrained, training_tokens, validation_tokens, options, compute)
        keep_what_helps(trained, training_tokens, validation_tokens, compute)
        code_NK = predict(trained, test_tokens, prediction, compute)["code"]
        found[name] = predicted_effects(trained, test_rows, test_tokens.obs, code_NK, controls)
    return found


def variant(
    name: Variant,
    backbone: Backbone,
    model: PerturbationModel,
    start_params: StartParams,
    seed: int,
) -> PerturbationModel:
    """Return an untrained variant of a model.

    Parameters
    ----------
    name
        ``start_alone``: without the Mamba2 layers; ``trunk_alone``: they begin at no change;
        ``trunk_frozen``: as the model, its backbone is left as it is; ``no_perturbation_embedding``:
        nothing is known of a perturbation; ``no_own_gene``: its own gene is a gene like others.
    backbone
        Untrained; it is copied.
    model, start_params, seed
        What the variant is like in all else.
    """
    start, head = model.start, model.head
    if name == "no_perturbation_embedding":
        start = fit_start(start.effects, {}, start_params, start.own)
    elif name == "no_own_gene":
        start = fit_start(start.effects, start.singles, start_params)
    paths = {"start_alone": ("start",), "trunk_alone": ("trunk",)}.get(name, head.paths)
    return new_model(
        copy.deepcopy(backbone),
        model.tokenizer,
        start,
        model.keys,
        head.model_copy(update={"paths": paths}),
        model.kind,
        seed,
    )
