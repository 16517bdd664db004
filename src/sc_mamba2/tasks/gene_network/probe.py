"""Probe of `score_pairs`: every knock-out is counted, a few batches of cells are decoded."""

import numpy as np
from anndata import AnnData

from sc_mamba2.model import PretrainedModel
from sc_mamba2.tasks.gene_network.genes import Choice
from sc_mamba2.tasks.gene_network.knockouts import cells_with, decoder
from sc_mamba2.tasks.gene_network.params import BaselineParams, ScoreParams
from sc_mamba2.tasks.gene_network.scores import draw_sample, short_tokens
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

    An untrained model beside takes the same time again. Without knock-outs no cell is decoded.
    """
    sample = draw_sample(valid_cells, params, compute)
    tokens = short_tokens(sample, model, choice)
    tokenizer, limit = model.tokenizer, model.tokenizer.rules.max_length
    regulators = tokenizer.vocabulary.rows_of(choice.regulators)
    targets = tokenizer.vocabulary.rows_of(choice.targets)
    having = np.concatenate(cells_with(tokens, regulators, params.cells_a_regulator))
    having = having if params.takes_away else having[:0]
    counts = {"cells as they are": count_tokens(tokens.lengths[np.unique(having)], limit)}
    fewer = tokens.lengths[having] - 1
    counts["cells without a regulator"] = count_tokens(fewer, limit)
    size, place = params.batch_size, choose_device(compute.device)
    rate = forward_rate(decoder(model, targets, size, place), tokens, size)
    models = 1 + baselines.untrained
    return forward_work(
        "knock-outs",
        counts,
        rate / models,
        size,
        parameters=count_parameters(model),
        peak_bytes=peak_bytes(place),
        facts={
            "regulators": len(choice.regulators),
            "targets": len(choice.targets),
            "models": models,
        },
    )
