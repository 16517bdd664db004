"""Known states: which they are, where their answers stand, and what chance reaches."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse
from tests.tasks.perturbation.test_effect_prior import GENES, effects_of

from sc_mamba2.tasks.perturbation.effect_prior import EffectPrior
from sc_mamba2.tasks.perturbation.reverse.candidates import Candidates
from sc_mamba2.tasks.perturbation.reverse.evaluate import rank_known, score_known
from sc_mamba2.tasks.perturbation.reverse.params import KnownParams, RankParams, StateParams
from sc_mamba2.tasks.perturbation.reverse.rank import Ranker, make_ranker

NAMES = ["A", "A+B", "B", "C"]
PARAMS = RankParams(queries=12, worlds=2, searched=4)


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    prior = EffectPrior(effects_of([(name, "x") for name in NAMES], ("x",), 0.001), {})
    candidates = Candidates(NAMES, [[0], [0, 1], [1], [2]], prior, "new", (0.0, 2.0))
    source = sparse.csr_matrix(np.full((12, GENES), 9.0))
    return make_ranker(candidates, source, np.full(GENES, 0.01), PARAMS, 0)


def cells_of(ranker: Ranker, states: dict[str, np.ndarray]) -> AnnData:
    """Six cells a state around a mean, beside control cells at 9."""
    generator = np.random.default_rng(0)
    genes = ranker.candidates.prior.effects.genes
    names = ["control", *states]
    values = np.concatenate(
        [
            9.0 + change + generator.normal(0, 0.05, (6, GENES))
            for change in (np.zeros(GENES), *states.values())
        ]
    )
    obs = pd.DataFrame({"perturbation": np.repeat(names, 6)})
    obs.index = [f"c{at}" for at in range(len(obs))]
    var = pd.DataFrame({"symbol": genes}, index=genes)
    return AnnData(sparse.csr_matrix(values), obs=obs, var=var)


def test_states_that_are_candidates_are_found_whatever_the_order_of_their_parts(ranker):
    changes = dict(zip(NAMES, ranker.changes_CG, strict=True))
    states = {
        "B+A": changes["A+B"],
        "C": changes["C"],
        "CD4+": changes["A"],
        "stranger": changes["B"],
    }
    cells = cells_of(ranker, states)
    known = rank_known(cells, ranker, StateParams(), KnownParams(), 0)
    assert [one["state"] for one in known] == ["B+A", "C"]
    assert all(one["ranks"]["model"] == 1 and one["cells"] == 6 for one in known)
    assert not any(one["learnt"] for one in known)
    one = rank_known(cells, ranker, StateParams(), KnownParams(states=1), 0)
    assert len(one) == 1
    assert rank_known(cells, ranker, StateParams(), KnownParams(states=0), 0) == []


def test_the_very_cells_of_the_training_are_known_again(ranker):
    cells = cells_of(ranker, {"C": np.zeros(GENES)})
    control, own = (cells.X[rows].toarray().mean(axis=0) for rows in (slice(0, 6), slice(6, 12)))
    prior = ranker.candidates.prior
    delta = np.concatenate([prior.effects.delta_QG[:3], [own - control]])
    again = replace(prior, effects=replace(prior.effects, delta_QG=delta))
    other = replace(ranker, candidates=replace(ranker.candidates, prior=again))
    learnt = [
        rank_known(cells, one, StateParams(), KnownParams(), 0)[0]["learnt"]
        for one in (ranker, other)
    ]
    assert learnt == [False, True]


def test_scores_are_of_the_places_and_chance_is_computed(ranker):
    methods = ("model", *ranker.simulated, "pseudobulk_neighbour", "differential_expression")
    known = [
        {"state": state, "cells": 6, "ranks": dict.fromkeys(methods, place), "learnt": False}
        for state, place in (("A", 1.0), ("B", 2.5))
    ]
    scores = score_known(known, ranker, KnownParams(first=(1, 3)))
    assert scores["model"] == {"hits@1": 0.5, "hits@3": 1.0, "mrr": pytest.approx(0.7)}
    assert scores["baselines"]["random"]["hits@1"] == 0.25
    assert scores["baselines"]["random"]["mrr"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    assert set(scores["ablations"]) == {
        f"{name} alone" for name in ranker.simulated if name != ranker.method
    }
    assert score_known([], ranker, KnownParams())["model"] == {}
