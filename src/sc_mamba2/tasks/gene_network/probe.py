"""Probe of `score_pairs`: every knock-out is counted, a few batches of cells are decoded."""

import numpy as np
from anndata import AnnData

from sc_mamba2.model import PretrainedModel
from sc_mamba2.tasks.gene_network.genes import Choice
from sc_mamba2.tasks.gene_network.knockouts import cells_with, knock_out
from sc_mamba2.tasks.gene_network.params import BaselineParams, ScoreParams
from sc_mamba2.tasks.gene_network.scores import draw_sample
from sc_mamba2.tasks.shared.probe import count_parameters
from sc_mamba2.tasks.shared.work import Work, count_tokens, forward_rate, forward_work
from sc_mamba2.training import ComputeOptions, choose_device
from sc_mamba2.training.machine import peak_bytes


def probe_scoring(
    valid_cells: AnnData,
    model: PretrainedModel,
    choice: Choice,
    params: ScoreParams,
    baselines: BaselineParams,
    compute: ComputeOptions,
) -> Work:
    """Count the cells that `score_pairs` decodes, with and without a gene, and time a few.

    An untrained model beside takes the same time again.
    """
    _, tokens = draw_sample(valid_cells, model, params, compute)
    tokenizer, limit = model.tokenizer, model.tokenizer.rules.max_length
    regulators = tokenizer.vocabulary.rows_of(choice.regulators)
    targets = tokenizer.vocabulary.rows_of(choice.targets)
    having = cells_with(tokens, regulators, params.cells_a_regulator)
    counts = {"cells as they are": count_tokens(tokens.lengths, limit)}
    fewer = tokens.lengths[np.concatenate(having)] - 1
    counts["cells without a regulator"] = count_tokens(fewer, limit)
    size, device = params.batch_size, compute.device
    rate = forward_rate(
        lambda some: knock_out(model, some, regulators[:0], targets, 1, size, device), tokens, size
    )
    models = 1 + baselines.untrained
    return forward_work(
        "knock-outs",
        counts,
        rate / models,
        size,
        parameters=count_parameters(model),
        peak_bytes=peak_bytes(choose_device(device)),
        facts={
            "regulators": len(choice.regulators),
            "targets": len(choice.targets),
            "models": models,
        },
    )
