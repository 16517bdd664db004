"""Nodes shared by all task pipelines: load or build a backbone, fine-tune, encode cells, predict."""

import copy
from dataclasses import fields
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from sc_mamba2.model import Backbone, TaskModel, preset
from sc_mamba2.tasks.shared.checkpoint_backbone import backbone_from_checkpoint
from sc_mamba2.tasks.shared.params import (
    BackboneParams,
    BlockLaunchParams,
    EncodeParams,
    FineTuneParams,
    PredictParams,
)
from sc_mamba2.tasks.shared.pooling import pool_cells
from sc_mamba2.tasks.shared.prediction import apply_compute, run_in_workers, run_model
from sc_mamba2.tasks.shared.progress import training_progress
from sc_mamba2.tokens import TokenizedCells, Tokenizer
from sc_mamba2.training import ComputeOptions, choose_device, fit, run_over_cells, seed_everything
from sc_mamba2.training.components import start_genes
from sc_mamba2.training.loop import Epoch

Model = TypeVar("Model", bound=TaskModel)
_ALONE = BlockLaunchParams()


def load_or_build_backbone(
    tokenizer: Tokenizer,
    training_tokens: TokenizedCells,
    params: BackboneParams,
    compute: ComputeOptions,
    others: bool = False,
) -> Backbone:
    """Load a backbone from a checkpoint folder, or build a new one from a preset.

    Parameters
    ----------
    tokenizer
        Its vocabulary determines the rows of the gene embedding.
    training_tokens
        Cells that initialise a new gene embedding.
    params
        Checkpoint or preset, and initialisation.
    compute
        Seed and scan path.
    others
        Whether genes unknown to the checkpoint are allowed.

    Returns
    -------
    Backbone
        On the CPU.
    """
    seed_everything(compute.seed)
    vocabulary = tokenizer.vocabulary
    if params.checkpoint is not None:
        backbone = backbone_from_checkpoint(
            params.checkpoint, vocabulary, tokenizer.rules, params.minimum_share, others
        )
    else:
        own = {"pad_id": vocabulary.pad_id, "n_bins": tokenizer.rules.n_bins}
        backbone = Backbone(preset(params.preset, vocabulary.size, **own, dropout=params.dropout))
        if params.gene_start == "svd":
            start_genes(backbone.gene_embedding, training_tokens, params.start_scale, compute.seed)
    apply_compute(backbone, compute)
    return backbone


def fine_tune(
    task_model: Model,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    params: FineTuneParams,
    compute: ComputeOptions,
) -> tuple[Model, pd.DataFrame]:
    """Train a task model; the best epoch on the validation cells is kept.

    Returns
    -------
    model
        A trained copy, on the CPU, in evaluation mode; `task_model` stays untrained.
    history
        One row per epoch: losses, learning rate, tokens per second; empty without gradient training.
    """
    model = copy.deepcopy(task_model)
    seed_everything(compute.seed)
    parts, history = [training_tokens, validation_tokens], []
    if (learner := model.learner) is not None:
        with training_progress("fine-tuning", params.max_epochs) as on_step:
            history = fit(
                learner,
                model.learner_tokens(training_tokens),
                model.learner_tokens(validation_tokens),
                learner.tokenizer.vocabulary,
                params,
                compute.seed,
                choose_device(compute.device),
                on_step,
            )
    if model.is_fitted_directly:
        outputs = [(part, predict(model, part, PredictParams(), compute)) for part in parts]
        model.fit_directly(outputs, compute.seed)
    return model.cpu().eval(), _table(history)


def _table(history: list[dict[str, Any]]) -> pd.DataFrame:
    """Return a table with one row per epoch; it has its columns even without rows."""
    return pd.DataFrame(history, columns=[field.name for field in fields(Epoch)])


def encode_cells(
    backbone: Backbone,
    tokens: TokenizedCells,
    tokenizer: Tokenizer,
    params: EncodeParams,
    compute: ComputeOptions,
) -> np.ndarray:
    """Return the backbone's embedding of every cell, (N, R x D) float32 for R readouts."""
    device = choose_device(compute.device)
    backbone = backbone.to(device).eval()
    apply_compute(backbone, compute)
    outputs = run_over_cells(
        lambda batch: {"cell": pool_cells(backbone, batch, params.pooling)},
        tokens,
        tokenizer.vocabulary,
        params.batch_size,
        device,
    )
    return outputs["cell"]


def predict(
    model: TaskModel,
    tokens: TokenizedCells,
    params: PredictParams,
    compute: ComputeOptions,
    launch: BlockLaunchParams = _ALONE,
) -> dict[str, Any]:
    """Return a task model's outputs for every cell, each an array with first dimension N.

    Outputs of a separate `learner` are added as ``learner_<name>``.
    """
    inputs = model, model.readable(tokens), params.batch_size, compute
    outputs = run_in_workers(*inputs, launch) if launch.uses_workers else run_model(*inputs)
    learner = model.learner
    if learner is not None and learner is not model:
        own = launch.model_copy(update={"blocks": f"{launch.blocks}-learner"})
        learnt = predict(learner, model.learner_tokens(tokens), params, compute, own)
        outputs |= {f"learner_{name}": array for name, array in learnt.items()}
    return outputs
