"""Nodes of gene networks: model, genes, scores, edges, modules, metrics, pictures, report.

Each is thin; what it does stands in the file named after the thing.
"""

from io import StringIO
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.figure import Figure

from sc_mamba2.methods import gene_modules as modules
from sc_mamba2.model import PretrainedModel, read_checkpoint
from sc_mamba2.tasks.gene_network import baselines, evaluate, figures, report
from sc_mamba2.tasks.gene_network.embeddings import cosines, read_model, untrained_like
from sc_mamba2.tasks.gene_network.genes import Choice, choose_pairs
from sc_mamba2.tasks.gene_network.knockouts import knock_out
from sc_mamba2.tasks.gene_network.params import (
    BaselineParams,
    GeneParams,
    NetworkParams,
    ReferenceParams,
    ScoreParams,
)
from sc_mamba2.tasks.gene_network.reference import ReferenceNetwork, read_reference
from sc_mamba2.tasks.gene_network.scores import PairScores, edge_table, mean_rank
from sc_mamba2.tasks.shared.parameters import flat_parameters
from sc_mamba2.training import ComputeOptions

_GROUPS = ("ingestion", "validation", "gene_network", "compute")
_Known = tuple[ReferenceNetwork | None]


def load_model(params: ScoreParams) -> PretrainedModel:
    """Read the pretrained model."""
    return read_model(params)


def load_reference(params: ReferenceParams) -> _Known:
    """Read the known edges; in a tuple, since Kedro passes no `None` on."""
    return (read_reference(params),)


def choose_genes(
    valid_cells: AnnData, model: PretrainedModel, known: _Known, params: GeneParams
) -> Choice:
    """Choose regulators and targets."""
    return choose_pairs(valid_cells, model.tokenizer.vocabulary, known[0], params)


def score_pairs(
    valid_cells: AnnData,
    model: PretrainedModel,
    choice: Choice,
    params: ScoreParams,
    beside: BaselineParams,
    compute: ComputeOptions,
) -> PairScores:
    """Score all pairs in a sample of the cells, by the model and by what stands beside it."""
    sample = draw_sample(valid_cells, params, compute)
    tokens = model.tokenizer.tokenize(sample.X, sample.var_names.to_numpy(), sample.obs[[]])
    vocabulary = model.tokenizer.vocabulary
    rows = vocabulary.rows_of(choice.regulators), vocabulary.rows_of(choice.targets)
    pairs_RT = choice.pairs()
    x_NR, y_NT = (
        np.asarray(sample[:, ids].X.toarray(), dtype=np.float64)
        for ids in (choice.regulators, choice.targets)
    )

    def by_model(one: PretrainedModel) -> tuple[Any, dict[str, np.ndarray]]:
        one.backbone.scan_path = compute.scan_path
        size = params.cells_a_regulator, params.batch_size
        found = knock_out(one, tokens, *rows, *size, compute.device)
        parts = {"knock_out": np.abs(found.specific_RT), "cosine": cosines(one, *rows)}
        return found, {"mean_rank": mean_rank(list(parts.values()), pairs_RT)} | parts

    found, by_method = by_model(model)
    correlation_RT = baselines.spearman(x_NR, y_NT)
    others = {
        "correlation": np.abs(correlation_RT),
        "pearson": np.abs(baselines.pearson(x_NR, y_NT)),
    }
    if beside.boosting:
        others["boosting"] = baselines.boosted_importances(
            x_NR, y_NT, pairs_RT, beside.trees, compute.seed
        )
    without: dict[str, np.ndarray] = {}
    if beside.untrained:
        untrained = by_model(untrained_like(model, compute.seed))[1]
        others["untrained cosine"] = untrained["cosine"]
        without["untrained knock_out"] = untrained["knock_out"]
    return PairScores(
        choice,
        found,
        correlation_RT,
        by_method,
        others,
        without,
        sample.n_obs,
    )


def draw_sample(cells: AnnData, params: ScoreParams, compute: ComputeOptions) -> AnnData:
    """Draw the cells that are looked at."""
    drawn = np.random.default_rng(compute.seed).permutation(cells.n_obs)[: params.cells]
    return cells[np.sort(drawn)]


def list_edges(scores: PairScores, scoring: ScoreParams, params: NetworkParams) -> str:
    """List the best edges, as CSV."""
    return edge_table(scores, scoring.method, params.edges).to_csv(index=False)


def make_network(
    scores: PairScores, scoring: ScoreParams, params: NetworkParams, compute: ComputeOptions
) -> tuple[str, str]:
    """Make the graph of the best edges: its modules as CSV, and the graph as GraphML."""
    best = edge_table(scores, scoring.method, params.drawn)
    found = modules.find_modules(best, params.resolution, compute.seed)
    return found.to_csv(index=False), modules.as_graphml(modules.make_graph(best, found))


def score(
    scores: PairScores,
    known: _Known,
    scoring: ScoreParams,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
) -> dict[str, Any]:
    """Score all ways against the known edges; the contents of ``metrics.json``."""
    found = evaluate.score_all(scores, known[0], scoring.method)
    facts = found.pop("facts")
    data = {
        "cells": scores.cells,
        "regulators": len(scores.choice.regulators),
        "regulators_from": scores.choice.origin,
        "regulators_without_a_cell": int((scores.knock_outs.cells_R == 0).sum()),
        "targets": len(scores.choice.targets),
        **facts,
        "reference": validation_report,
    }
    identity = read_checkpoint(scoring.checkpoint).sha256
    return found | {"data": data, "run": run_info | {"checkpoint_sha256": identity}}


def draw_figures(
    scores: PairScores,
    modules_csv: str,
    scoring: ScoreParams,
    params: NetworkParams,
    compute: ComputeOptions,
) -> dict[str, Figure]:
    """Draw the heat map and the graph."""
    best = edge_table(scores, scoring.method, params.drawn)
    found = pd.read_csv(StringIO(modules_csv))
    return figures.draw_network(scores, best, found, scoring.method, compute.seed)


def write_report(
    metrics: dict[str, Any],
    edges_csv: str,
    modules_csv: str,
    pictures: dict[str, bytes],
    parameters: dict[str, Any],
) -> str:
    """Write the one-file HTML report."""
    edges, found = (pd.read_csv(StringIO(text)) for text in (edges_csv, modules_csv))
    return report.network_report(
        metrics, edges, found, pictures, flat_parameters(parameters, _GROUPS)
    )
