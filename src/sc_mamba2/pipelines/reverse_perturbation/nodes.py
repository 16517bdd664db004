"""Nodes of reverse perturbation: query, candidates, ranking, metrics."""

from typing import Any

from anndata import AnnData

from sc_mamba2.pipelines.perturbation.effects import moments
from sc_mamba2.pipelines.perturbation.features import own_columns
from sc_mamba2.pipelines.perturbation.head import PerturbationModel
from sc_mamba2.pipelines.perturbation.reading import ONE_CONTEXT
from sc_mamba2.pipelines.reverse_perturbation.candidates import read_candidates, told_changes
from sc_mamba2.pipelines.reverse_perturbation.params import (
    CandidateParams,
    RankParams,
    StateParams,
)
from sc_mamba2.pipelines.reverse_perturbation.rank import Ranker, make_ranker
from sc_mamba2.pipelines.reverse_perturbation.states import Query, read_query
from sc_mamba2.training import ComputeOptions


def ask_for_states(valid_cells: AnnData, model: PerturbationModel, params: StateParams) -> Query:
    """Read source and target cells over the model's genes."""
    return read_query(valid_cells, params, model.start.effects.genes)


def list_candidates(model: PerturbationModel, params: CandidateParams) -> list[str]:
    """List what is ranked, or refuse it."""
    return read_candidates(model, params)


def fit_ranker(
    model: PerturbationModel,
    candidates: list[str],
    query: Query,
    params: RankParams,
    compute: ComputeOptions,
) -> Ranker:
    """Predict every candidate from the source cells, and learn to rank them; see `rank`."""
    for name in candidates:
        model.know(name)
    control_G, _ = moments(query.source.X)
    told_CG = told_changes(model.start, candidates, ONE_CONTEXT, control_G)
    genes = model.start.effects.genes
    own = [list(own_columns([name], genes, model.keys).values()) for name in candidates]
    return make_ranker(
        model.start,
        candidates,
        told_CG,
        own,
        query.source.X,
        model.rising_share,
        query.error_G,
        params,
        compute.seed,
    )


def rank_candidates(
    ranker: Ranker, query: Query, model: PerturbationModel, params: RankParams
) -> str:
    """Rank the candidates; the table as CSV."""
    symbols = query.target.var["symbol"].to_numpy(str)
    table = ranker.rank(query, symbols, params.genes)
    seen = set(model.start.effects.rows["perturbation"])
    table.insert(2, "seen", [name in seen for name in table["perturbation"]])
    return table.to_csv(index=False)


def describe(
    ranker: Ranker,
    query: Query,
    model: PerturbationModel,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
) -> dict[str, Any]:
    """Say what the ranking stands on: cells, candidates, how the method was chosen."""
    return {
        "model": {},
        "baselines": {},
        "ablations": {},
        "data": {
            "source_cells": query.source.n_obs,
            "target_cells": query.target.n_obs,
            "candidates": len(ranker.names),
            "method": ranker.method,
            "resampled_reciprocal_rank": ranker.judged,
            "head_weights": [float(weight) for weight in ranker.head.weight_X],
            "reference": validation_report,
        },
        "run": run_info | {"checkpoint_sha256": model.sha256()},
    }
