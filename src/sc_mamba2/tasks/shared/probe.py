"""Probes of the shared work: fine-tuning and prediction."""

import contextlib

import numpy as np
from torch import nn

from sc_mamba2.model import TaskModel
from sc_mamba2.tasks.shared.backbone import predict
from sc_mamba2.tasks.shared.params import FineTuneParams, PredictParams
from sc_mamba2.tasks.shared.work import (
    Clock,
    ProbeDone,
    TokenCount,
    Work,
    count_tokens,
    forward_rate,
    forward_work,
)
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions, choose_device, fit, mean_loss, seed_everything
from sc_mamba2.training.machine import peak_bytes, state_bytes


def probe_fine_tuning(
    task_model: TaskModel,
    training_tokens: TokenizedCells,
    validation_tokens: TokenizedCells,
    params: FineTuneParams,
    compute: ComputeOptions,
) -> Work:
    """Take the first steps of `fine_tune`, on a model that is thrown away.

    The time is an upper bound, for all epochs with validation: training may stop early.
    """
    seed_everything(compute.seed)
    device, size = choose_device(compute.device), params.batch_size
    learner = task_model.learner
    if learner is not None:
        training_tokens, validation_tokens = map(
            task_model.learner_tokens, (training_tokens, validation_tokens)
        )
        task_model = learner
    limit = task_model.tokenizer.rules.max_length
    tokens = {
        "training": count_tokens(training_tokens.lengths, limit),
        "validation": count_tokens(validation_tokens.lengths, limit),
    }
    if learner is None:
        # It reads every cell once; the fit itself is quick.
        return _probe_forward(
            "fit at once", task_model, training_tokens, tokens, PredictParams(), compute
        )
    vocabulary, clock = task_model.tokenizer.vocabulary, Clock()
    few = validation_tokens.take(np.arange(min(size, len(validation_tokens))))
    with contextlib.suppress(ProbeDone):
        parts = (task_model, training_tokens, few, vocabulary, params, compute.seed, device)
        fit(*parts, on_step=clock)
    rate = forward_rate(
        lambda some: mean_loss(task_model, some, vocabulary, size, device), validation_tokens, size
    )
    judging = params.max_epochs * tokens["validation"].tokens / rate
    return Work(
        name="fine-tuning",
        steps=clock.steps,
        step=f"{size:,} cells",
        probed=clock.taken,
        seconds_a_step=clock.seconds_a_step,
        seconds=clock.steps * clock.seconds_a_step + judging,
        epochs=params.max_epochs,
        tokens=tokens,
        parameters=count_parameters(task_model),
        trained=count_parameters(task_model, trained=True),
        state_bytes=state_bytes(task_model),
        peak_bytes=peak_bytes(device),
        tokens_a_second=rate,
    )


def probe_prediction(
    model: TaskModel, tokens: TokenizedCells, params: PredictParams, compute: ComputeOptions
) -> Work:
    """Take a few batches of `predict`."""
    counts = {"cells": count_tokens(tokens.lengths, model.tokenizer.rules.max_length)}
    return _probe_forward("prediction", model, tokens, counts, params, compute)


def count_parameters(model: nn.Module, trained: bool = False) -> int:
    """Count a model's parameters: all, or only the trained ones."""
    weights = model.parameters()
    return sum(one.numel() for one in weights if one.requires_grad or not trained)


def _probe_forward(
    name: str,
    model: TaskModel,
    tokens: TokenizedCells,
    counts: dict[str, TokenCount],
    params: PredictParams,
    compute: ComputeOptions,
) -> Work:
    """Run a few batches of `tokens`, and extrapolate the time to all `counts`."""
    size = params.batch_size
    rate = forward_rate(lambda some: predict(model, some, params, compute), tokens, size)
    return forward_work(
        name,
        counts,
        rate,
        size,
        parameters=count_parameters(model),
        peak_bytes=peak_bytes(choose_device(compute.device)),
    )
