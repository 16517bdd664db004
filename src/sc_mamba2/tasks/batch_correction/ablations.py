"""What each part of the model is worth: variants trained in the same way, on the same cells."""

import copy

import numpy as np

from sc_mamba2.model import Backbone
from sc_mamba2.tasks.batch_correction.initial_embedding import new_model
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.batch_correction.params import (
    AblationParams,
    HeadParams,
    LossParams,
    Variant,
)
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.params import FineTuneParams, PredictParams
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions


def variant(
    name: Variant, head: HeadParams, objective: LossParams
) -> tuple[HeadParams, LossParams]:
    """Return the head and the objective of a variant.

    Parameters
    ----------
    name
        ``no_adversary``, ``no_domain_norm`` (one norm for all batches), or ``pooled_alone`` (without
        the Mamba2 layers).
    head, objective
        Of the model.
    """
    if name == "no_adversary":
        return head, objective.model_copy(update={"adversary": 0.0})
    changed = {"domain_norm": False} if name == "no_domain_norm" else {"paths": ("pooled",)}
    return head.model_copy(update=changed), objective


def run_ablations(
    backbone: Backbone,
    model: BatchCorrectionModel,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    tokens: TokenizedCells,
    fine_tuning: FineTuneParams,
    prediction: PredictParams,
    params: AblationParams,
    compute: ComputeOptions,
) -> dict[str, np.ndarray]:
    """Train every variant and embed all cells with it.

    Returns
    -------
    dict
        (N, E) embedding by name of the variant.
    """
    embeddings = {}
    for name in params.names:
        head, objective = variant(name, model.head, model.objective)
        untrained = new_model(
            copy.deepcopy(backbone),
            model.tokenizer,
            training_tokens,
            head,
            objective,
            model.batch_key,
            compute.seed,
        )
        trained, _ = fine_tune(untrained, training_tokens, validation_tokens, fine_tuning, compute)
        embeddings[name] = predict(trained, tokens, prediction, compute)["embedding"]
    return embeddings
