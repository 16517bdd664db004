"""Scores against known edges: which pairs count, who wins, and when there is nothing to score."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.tasks.gene_network.evaluate import evaluated_pairs, score, score_all
from sc_mamba2.tasks.gene_network.genes import Choice
from sc_mamba2.tasks.gene_network.params import ScoreParams
from sc_mamba2.tasks.gene_network.scores import PairScores

REGULATORS, TARGETS = np.array(["a", "b"]), np.array(["a", "c", "d", "e"])
KNOWN = pd.DataFrame({"source": ["a", "a", "x"], "target": ["c", "e", "d"]})


@pytest.fixture
def scores() -> PairScores:
    """A model that orders the pairs of `a` as they are known, and a baseline that reverses it."""
    right = np.array([[0.0, 3, 1, 2], [9, 9, 9, 9]])
    methods = {"consensus": right, "correlation": -right, "cosine": -right, "knock_out": right}
    choice = Choice(REGULATORS, TARGETS, REGULATORS, TARGETS, "named")
    knock_outs = SimpleNamespace(cells_R=np.array([5, 0]))
    beside = {"correlation, size": right}, {"consensus without the model": right}
    return PairScores(choice, knock_outs, methods, *beside, right, 30)


def test_pairs_of_two_genes_whose_regulator_has_an_edge_are_evaluated(scores):
    evaluated, truth = evaluated_pairs(scores, KNOWN)
    assert evaluated.tolist() == [[False, True, True, True], [False] * 4]
    assert truth.tolist() == [[False, True, False, True], [False] * 4]


def test_every_way_is_scored_on_the_same_pairs(scores):
    results, facts = score_all(scores, KNOWN, "consensus")
    assert facts == {"judged_pairs": 3, "judged_regulators": 1, "known_edges": 2}
    assert results["model"]["auprc"] == 1 and results["model"]["early_precision"] == 1
    assert results["baselines"]["correlation"]["auprc"] < 1
    assert set(results["baselines"]) == {"correlation", "correlation, size"}
    names = {"knock_out alone", "cosine alone", "consensus without the model"}
    assert set(results["ablations"]) == names


@pytest.mark.parametrize("known", [KNOWN[:0], pd.DataFrame({"source": "a", "target": TARGETS})])
def test_without_edges_or_with_nothing_else_there_are_no_scores(scores, known):
    results, facts = score_all(scores, known, "consensus")
    assert results == {"model": {}, "baselines": {}, "ablations": {}}
    assert facts["known_edges"] == facts["judged_pairs"]


def test_the_metrics_say_what_was_looked_at_and_by_which_checkpoint(scores):
    model = SimpleNamespace(checkpoint_sha256="f" * 64)
    metrics = score(scores, model, KNOWN, ScoreParams(), {"cells": 40}, {"version": "1"})
    data = metrics["data"]
    assert (data["cells"], data["regulators"], data["targets"]) == (30, 2, 4)
    assert data["regulators_without_a_cell"] == 1 and data["regulators_from"] == "named"
    assert data["reference"] == {"cells": 40}
    assert metrics["run"] == {"version": "1", "checkpoint_sha256": "f" * 64}
