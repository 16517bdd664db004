"""Score the ranking where the answer is known: states of the file that are candidates themselves."""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from sc_mamba2.cells import PerturbationNames
from sc_mamba2.errors import UserError
from sc_mamba2.metrics.retrieval import (
    hits,
    mean_reciprocal_rank,
    random_hits,
    random_reciprocal_rank,
    tied_rank,
)
from sc_mamba2.reporting import Scores
from sc_mamba2.tasks.perturbation.model import PerturbationModel
from sc_mamba2.tasks.perturbation.prior_names import names_of
from sc_mamba2.tasks.perturbation.reverse.comparisons import baseline_scores
from sc_mamba2.tasks.perturbation.reverse.params import KnownParams, StateParams
from sc_mamba2.tasks.perturbation.reverse.rank import Ranker
from sc_mamba2.tasks.perturbation.reverse.states import (
    MIN_CELLS,
    Query,
    read_query,
    read_states,
)
from sc_mamba2.tasks.perturbation.reverse.summary import summarize
from sc_mamba2.tasks.perturbation.split import PERTURBATION
from sc_mamba2.training import ComputeOptions

MODEL = "model"
_SAME = 1e-3  # tolerance for float32 and another order of summation


def score(
    valid_cells: AnnData,
    ranker: Ranker,
    ranking: pd.DataFrame,
    query: Query,
    model: PerturbationModel,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
    states: StateParams,
    params: KnownParams,
    compute: ComputeOptions,
) -> dict[str, Any]:
    """Score the known states, and return the contents of ``metrics.json``."""
    known = rank_known(valid_cells, ranker, states, params, compute.seed)
    data = {
        "source": states.source,
        "target": states.target,
        "source_cells": query.source.n_obs,
        "target_cells": query.target.n_obs,
        "candidates": len(ranker.candidates.names),
        "first": ranking.loc[0, ["perturbation", "cosine"]].to_dict(),
        "method": ranker.method,
        "simulated_reciprocal_rank": ranker.simulated,
        "head_weights": [float(weight) for weight in ranker.head_X],
        "calibration": calibration(ranker),
        "known": known,
        "reference": validation_report,
    }
    run = run_info | {"checkpoint_sha256": model.sha256()}
    metrics = score_known(known, ranker, params) | {"data": data, "run": run}
    return metrics | {"summary": summarize(metrics)}


def rank_known(
    valid_cells: AnnData, ranker: Ranker, states: StateParams, params: KnownParams, seed: int
) -> list[dict[str, Any]]:
    """Rank the candidates by every method for each state of the file that is a candidate.

    Parameters
    ----------
    valid_cells
        Cells in the standard form.
    ranker
        Fitted; none of its choices depends on these cells.
    states, params, seed
        Column of the states; maximum number of states; seed of the draw if there are more.

    Returns
    -------
    list of dict
        By state: ``state``, ``cells``; ``ranks``, rank of the right candidate by method, from 1, ties
        share their mean rank; ``learnt``, whether the checkpoint measured this same change, so that it
        was trained on these cells.
    """
    candidates = ranker.candidates
    column, source, _ = read_states(valid_cells.obs, states, candidates.keys)
    sizes = column.value_counts()
    place = {name: at for at, name in enumerate(candidates.names)}
    known_names = names_of(candidates.prior, candidates.keys)
    right = {
        state: place[name]
        for state in sorted(sizes.index[sizes >= MIN_CELLS])
        if state != source and (name := _name_of(state, known_names)) in place
    }
    drawn = np.random.default_rng(seed).permutation(list(right))[: params.states]
    known = []
    for state in sorted(map(str, drawn)):
        target = states.model_copy(update={"target": state})
        query = read_query(valid_cells, target, candidates.prior.effects.genes, candidates.keys)
        scores = ranker.scores(query)
        methods = {MODEL: scores[ranker.method]} | scores | baseline_scores(query, candidates)
        known.append(
            {
                "state": state,
                "cells": int(sizes[state]),
                "ranks": {name: tied_rank(own, right[state]) for name, own in methods.items()},
                "learnt": _is_learnt(ranker, candidates.names[right[state]], query.change_G),
            }
        )
    return known


def score_known(
    known: list[dict[str, Any]], ranker: Ranker, params: KnownParams
) -> dict[str, dict[str, Any]]:
    """Return the scores of model, baselines and other methods on the known states."""
    if not known:
        return {"model": {}, "baselines": {}, "ablations": {}}

    def of(method: str) -> Scores:
        ranks = [one["ranks"][method] for one in known]
        shares = {f"hits@{first}": hits(ranks, first) for first in params.first}
        return shares | {"mrr": mean_reciprocal_rank(ranks)}

    count = len(ranker.candidates.names)
    chance = {f"hits@{first}": random_hits(count, first) for first in params.first}
    simple = [name for name in known[0]["ranks"] if name not in {MODEL, *ranker.simulated}]
    other = [name for name in ranker.simulated if name != ranker.method]
    return {
        "model": of(MODEL),
        "baselines": {name: of(name) for name in simple}
        | {"random": chance | {"mrr": random_reciprocal_rank(count)}},
        "ablations": {f"{name} alone": of(name) for name in other},
    }


def calibration(ranker: Ranker) -> dict[str, float]:
    """Return mean probability and accuracy of the first candidate on the held-out simulated queries."""
    table = ranker.checked
    return {
        "queries": len(table),
        "probability": float(table["probability"].mean()),
        "right": float(table["right"].mean()),
    }


def _name_of(state: str, known: PerturbationNames) -> str | None:
    try:
        return known.resolve(state)
    except UserError:  # a state need not be a perturbation: "CD4+"
        return None


def _is_learnt(ranker: Ranker, name: str, change_G: np.ndarray) -> bool:
    effects = ranker.candidates.prior.effects
    own_QG = effects.delta_QG[(effects.rows[PERTURBATION] == name).to_numpy()]
    size = max(float(np.linalg.norm(change_G)), 1e-12)
    return bool((np.linalg.norm(own_QG - change_G, axis=1) < _SAME * size).any())
