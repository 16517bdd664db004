"""Baselines and ablations of batch correction, on the same cells."""

import copy

import numpy as np
from anndata import AnnData

from sc_mamba2.tasks.batch_correction.candidates import Candidates
from sc_mamba2.tasks.batch_correction.fit import new_model
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.batch_correction.params import (
    AblationParams,
    CandidateParams,
    HeadParams,
    LossParams,
    Variant,
)
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.batches import BATCH
from sc_mamba2.tasks.shared.integration_baselines import baseline_embeddings
from sc_mamba2.tasks.shared.params import FineTuneParams, PredictParams, TokenizationParams
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions

MIN_CELLS = 3


def compare(
    valid_cells: AnnData,
    tokens: TokenizedCells,
    tokenization: TokenizationParams,
    params: CandidateParams,
    compute: ComputeOptions,
) -> Candidates:
    """Embed cells of a new file by the baselines, fitted to these cells; none if there are too few."""
    if len(tokens) < MIN_CELLS:
        return Candidates({}, None, {})
    found = baseline_embeddings(
        valid_cells,
        tokens.obs[BATCH],
        genes=tokenization.variable_genes,
        components=params.components,
        recipes=True,
        seed=compute.seed,
    )
    return Candidates(found, None, {})


def run_ablations(
    untrained_model: BatchCorrectionModel,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    tokens: TokenizedCells,
    params: AblationParams,
    fine_tuning: FineTuneParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> dict[str, np.ndarray]:
    """Train every named variant and embed all cells with it, (N, E) by name."""
    model = untrained_model
    embeddings: dict[str, np.ndarray] = {}
    for name in params.names:
        untrained = new_model(
            copy.deepcopy(model.backbone),
            model.tokenizer,
            training_tokens,
            *variant(name, model.head, model.objective),
            model.batch_key,
            compute.seed,
        )
        trained, _ = fine_tune(untrained, training_tokens, validation_tokens, fine_tuning, compute)
        embeddings[name] = predict(trained, tokens, prediction, compute)["embedding"]
    return embeddings


def variant(
    name: Variant, head: HeadParams, objective: LossParams
) -> tuple[HeadParams, LossParams]:
    """Return the head and the objective of a variant of the model.

    Parameters
    ----------
    name
        ``no_adversary``, ``no_domain_norm`` (one norm for all batches), or ``pooled_alone`` (without
        the Mamba2 layers).
    head, objective
        Those of the model.
    """
    if name == "no_adversary":
        return head, objective.model_copy(update={"adversary": 0.0})
    changed = {"domain_norm": False} if name == "no_domain_norm" else {"paths": ("pooled",)}
    return head.model_copy(update=changed), objective
