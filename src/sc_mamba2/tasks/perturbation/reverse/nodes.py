"""Nodes of reverse perturbation: query, candidates, ranking, known states, metrics, pictures, report.

Each is thin; what it does stands in the file named after the thing.
"""

from io import StringIO
from typing import Any

import pandas as pd
from anndata import AnnData
from matplotlib.figure import Figure

from sc_mamba2.tasks.perturbation.features import own_columns
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.reading import ONE_CONTEXT
from sc_mamba2.tasks.perturbation.reverse import evaluate, figures, report
from sc_mamba2.tasks.perturbation.reverse.candidates import Offer, read_candidates
from sc_mamba2.tasks.perturbation.reverse.evaluate import Found
from sc_mamba2.tasks.perturbation.reverse.params import (
    CandidateParams,
    KnownParams,
    RankParams,
    StateParams,
)
from sc_mamba2.tasks.perturbation.reverse.rank import Ranker, make_ranker
from sc_mamba2.tasks.perturbation.reverse.states import Query, read_query
from sc_mamba2.tasks.shared.parameters import flat_parameters
from sc_mamba2.training import ComputeOptions

_GROUPS = ("ingestion", "validation", "reverse_perturbation", "compute")


def ask_for_states(valid_cells: AnnData, model: PerturbationModel, params: StateParams) -> Query:
    """Read source and target cells over the model's genes."""
    return read_query(valid_cells, params, model.prior.effects.genes)


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
    model = model.knowing(*candidates)
    genes = model.prior.effects.genes
    own = [list(own_columns([name], genes, model.keys).values()) for name in candidates]
    offer = Offer(candidates, own, model.prior, ONE_CONTEXT, model.decoding)
    return make_ranker(offer, query.source.X, query.error_G, params, compute.seed)


def rank_candidates(ranker: Ranker, query: Query) -> str:
    """Rank the candidates; the table as CSV."""
    return ranker.rank(query, query.symbols).to_csv(index=False)


def find_known_states(
    valid_cells: AnnData,
    ranker: Ranker,
    states: StateParams,
    params: KnownParams,
    compute: ComputeOptions,
) -> list[Found]:
    """Look for the states of the file whose answer is known."""
    return evaluate.find_known(valid_cells, ranker, states, params, compute.seed)


def score(
    ranker: Ranker,
    query: Query,
    found: list[Found],
    model: PerturbationModel,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
    states: StateParams,
    params: KnownParams,
) -> dict[str, Any]:
    """Score the known states, and say what the ranking stands on; ``metrics.json``."""
    scores = evaluate.score_known(found, ranker, params)
    data = {
        "source": states.source,
        "target": states.target,
        "source_cells": query.source.n_obs,
        "target_cells": query.target.n_obs,
        "candidates": len(ranker.offer.names),
        "method": ranker.method,
        "simulated_reciprocal_rank": ranker.judged,
        "head_weights": [float(weight) for weight in ranker.head.weight_X],
        "calibration": evaluate.calibration(ranker),
        "known": scores.pop("known"),
        "reference": validation_report,
    }
    return scores | {"data": data, "run": run_info | {"checkpoint_sha256": model.sha256()}}


def draw_figures(
    ranking_csv: str, ranker: Ranker, query: Query, found: list[Found]
) -> dict[str, Figure]:
    """Draw the first candidates, what drives them, the calibration, and how known states are found."""
    ranking = pd.read_csv(StringIO(ranking_csv))
    return figures.draw_ranking(ranking, ranker, query, found)


def write_report(
    metrics: dict[str, Any],
    ranking_csv: str,
    pictures: dict[str, bytes],
    parameters: dict[str, Any],
) -> str:
    """Write the one-file HTML report."""
    ranking = pd.read_csv(StringIO(ranking_csv))
    flat = flat_parameters(parameters, _GROUPS)
    return report.ranking_report(metrics, ranking, pictures, flat)
