"""What each part of the model is worth: variants trained in the same way, on the same cells."""

import copy

import numpy as np

from sc_mamba2.model import Backbone
from sc_mamba2.tasks.multiomics.fitting import complete
from sc_mamba2.tasks.multiomics.initial_embedding import new_model
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.params import (
    AblationParams,
    HeadParams,
    ImputationParams,
    LossParams,
    Variant,
)
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.params import FineTuneParams, PredictParams
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions

Outputs = dict[str, np.ndarray]
_PATHS = {"pooled_alone": ("pooled",), "trunk_alone": ("trunk",)}


def variant(
    name: Variant, head: HeadParams, objective: LossParams, fitting: FineTuneParams
) -> tuple[HeadParams, LossParams, FineTuneParams | None]:
    """Return head, objective and training of a variant; no training: it stays as it starts."""
    if name == "start_alone":
        return head, objective, None
    if name == "no_adversary":
        return head, objective.model_copy(update={"adversary": 0.0}), fitting
    changed = head.model_copy(update={"paths": _PATHS.get(name, ("trunk", "pooled"))})
    if name == "trunk_states":
        return changed, objective, None
    if name == "trunk_frozen":
        return changed, objective, fitting.model_copy(update={"mode": "frozen"})
    return changed, objective, fitting


def run_ablations(
    backbone: Backbone,
    model: MultiomicsModel,
    twins: np.ndarray,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    tokens: TokenizedCells,
    fine_tuning: FineTuneParams,
    imputation: ImputationParams,
    prediction: PredictParams,
    params: AblationParams,
    compute: ComputeOptions,
) -> dict[str, Outputs]:
    """Train every variant and tell all cells with it; outputs by name of the variant."""
    found: dict[str, Outputs] = {}
    for name in params.names:
        head, objective, fitting = variant(name, model.head, model.objective, fine_tuning)
        trained = new_model(
            copy.deepcopy(backbone),
            model.tokenizer,
            model.weight_V.numpy(),
            twins,
            training_tokens,
            head,
            objective,
            model.features,
            model.batch_key,
            compute.seed,
        )
        if fitting is not None:
            trained, _ = fine_tune(trained, training_tokens, validation_tokens, fitting, compute)
        complete(trained, training_tokens, validation_tokens, imputation, prediction, compute)
        found[name] = predict(trained, tokens, prediction, compute)
    return found
