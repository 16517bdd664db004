"""Probe of `score_pairs`: count all knock-outs, and decode a few batches of cells."""

from anndata import AnnData

from sc_mamba2.model import PretrainedModel
from sc_mamba2.tasks.gene_network.genes import Choice
from sc_mamba2.tasks.gene_network.knockouts import knock_out_work
from sc_mamba2.tasks.gene_network.params import BaselineParams, ScoreParams
from sc_mamba2.tasks.gene_network.scores import draw_sample, rows_of, short_tokens
from sc_mamba2.tasks.shared.work import Work
from sc_mamba2.training import ComputeOptions


def probe_scoring(
    valid_cells: AnnData,
    model: PretrainedModel,
    choice: Choice,
    params: ScoreParams,
    baselines: BaselineParams,
    compute: ComputeOptions,
) -> Work:
    """Count the cells that `score_pairs` decodes, with and without a gene, and time a few.

    The untrained model doubles the time. Without knock-outs no cell is decoded.
    """
    tokens = short_tokens(draw_sample(valid_cells, params, compute), model, choice)
    each = params.cells_a_regulator if params.takes_away else 0
    rows, models = rows_of(model, choice), 1 + baselines.untrained
    return knock_out_work(model, tokens, *rows, each, params.batch_size, compute.device, models)
