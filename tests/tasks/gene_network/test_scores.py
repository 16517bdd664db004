"""Scores of pairs side by side, the table of edges, the network."""

import igraph
import numpy as np
import pandas as pd
import pytest

from sc_mamba2.tasks.gene_network.params import BaselineParams, NetworkParams
from sc_mamba2.tasks.gene_network.scores import (
    agreement,
    consensus,
    draw_sample,
    edge_table,
    make_network,
    score_pairs,
)
from sc_mamba2.tasks.shared.messages import NOTE
from sc_mamba2.training import ComputeOptions

OPTIONS = ComputeOptions()


@pytest.fixture(scope="module")
def scores(cells, scoring, prepared):
    model, _, choice = prepared
    return score_pairs(cells, model, choice, scoring, BaselineParams(untrained=True), OPTIONS)


def test_the_consensus_is_the_mean_of_what_stands_out_among_a_regulators_pairs():
    pairs = np.array([[False, True, True, True], [True, True, True, True]])
    part = np.array([[99.0, 1, 2, 3], [4, 4, 4, 4]])
    other = np.array([[0.0, 3, 2, 1], [1, 2, 3, 4]])
    row = np.array([-1, 0, 1]) / np.std([1, 2, 3])
    np.testing.assert_allclose(consensus([part], pairs), [[0, *row], [0] * 4])
    both = consensus([part, 5 * other + 7], pairs)
    np.testing.assert_allclose(both[0], 0, atol=1e-12)
    np.testing.assert_allclose(both[1], (np.arange(4) - 1.5) / np.std(np.arange(4)) / 2)


def test_agreement_counts_who_holds_a_pair_among_the_regulators_best():
    generator = np.random.default_rng(0)
    pairs = np.ones((2, 40), bool)
    pairs[0, 5] = False
    parts = [generator.random((2, 40)) for _ in range(3)]
    parts[0][1], parts[1][1] = 0, parts[2][1]
    votes = agreement(parts, pairs)
    assert votes.sum(axis=1).tolist() == [6, 4] and not votes[0, 5]
    assert sorted(votes[1])[-3:] == [0, 2, 2] and votes[1].argmax() in parts[1][1].argsort()[-2:]


def test_every_way_scores_every_pair(scores):
    model = {"cosine", "knock_out"}
    assert set(scores.by_method) == {"consensus", "correlation", "pearson", "boosting"} | model
    assert set(scores.baselines) == {"correlation, size"} and scores.cells == 30
    assert set(scores.ablations) == {
        "consensus without the model",
        "consensus without knock-outs",
        "untrained cosine",
        "untrained knock_out",
    }
    every = scores.by_method | scores.baselines | scores.ablations
    assert all(it.shape == (4, 12) and np.isfinite(it).all() for it in every.values())
    assert not np.allclose(scores.by_method["cosine"], scores.ablations["untrained cosine"])
    assert scores.agreement_RT.max() <= 4


def test_without_knock_outs_no_cell_is_decoded(cells, scoring, prepared, monkeypatch):
    model, _, choice = prepared
    monkeypatch.setattr(model.backbone, "encode", None)
    params = scoring.model_copy(update={"knock_outs": False})
    scores = score_pairs(cells, model, choice, params, BaselineParams(), OPTIONS)
    assert scores.knock_outs is None and "knock_out" not in scores.by_method
    assert not {"knock_out_effect", "specific_effect"} & set(edge_table(scores, "consensus", 5))
    asked = params.model_copy(update={"method": "knock_out"})
    assert asked.takes_away and not params.takes_away


def test_scores_follow_the_seed_and_leave_cells_and_model_as_they_are(
    cells, scoring, prepared, caplog
):
    caplog.set_level(NOTE)
    model, _, choice = prepared
    before, weights = cells.copy(), {k: v.clone() for k, v in model.state_dict().items()}
    params, options = BaselineParams(), (ComputeOptions(), ComputeOptions(seed=1))
    one, again, other = (
        score_pairs(cells, model, choice, scoring, params, options[at]) for at in (0, 0, 1)
    )
    assert "for knock-outs of 4 regulators, 30 cells and 12 targets" in caplog.messages[0]
    np.testing.assert_array_equal(one.by_method["correlation"], again.by_method["correlation"])
    np.testing.assert_array_equal(one.by_method["consensus"], again.by_method["consensus"])
    assert not np.array_equal(one.by_method["correlation"], other.by_method["correlation"])
    assert not (cells.X != before.X).nnz and cells.obs.equals(before.obs)
    assert all((value == weights[name]).all() for name, value in model.state_dict().items())


def test_the_sample_is_of_different_cells_in_their_order(cells, scoring):
    sample = draw_sample(cells, scoring, OPTIONS)
    places = cells.obs_names.get_indexer(sample.obs_names)
    assert len(places) == 30 and (np.diff(places) > 0).all()


def test_edges_are_the_best_pairs_of_two_genes(scores):
    method = "consensus"
    edges = edge_table(scores, method, 10_000)
    assert len(edges) == scores.choice.pairs().sum()
    assert (edges["source_id"] != edges["target_id"]).all()
    assert edges["score"].is_monotonic_decreasing
    regulators, targets = list(scores.choice.regulators), list(scores.choice.targets)
    for edge in edges.head(7).itertuples():
        at = regulators.index(edge.source_id), targets.index(edge.target_id)
        assert edge.score == scores.by_method[method][at]
        assert edge.correlation == scores.by_method["correlation"][at]
        assert edge.sign == np.sign(edge.correlation)
        assert edge.agreement == scores.agreement_RT[at]
        assert edge.specific_effect == scores.knock_outs.specific_RT[at]
    pd.testing.assert_frame_equal(edge_table(scores, method, 7), edges.head(7))


def test_the_network_is_of_the_drawn_edges_alone(scores, scoring, tmp_path):
    params = NetworkParams(edges=20, drawn=9)
    edges, modules, network = make_network(scores, scoring, params, ComputeOptions())
    assert len(edges) == 20
    drawn = edges.head(9)
    assert set(modules["ensembl_id"]) == {*drawn["source_id"], *drawn["target_id"]}
    assert modules["degree"].sum() == 18
    (tmp_path / "network.graphml").write_text(network, "utf-8")
    assert igraph.Graph.Read_GraphML(str(tmp_path / "network.graphml")).ecount() == 9
