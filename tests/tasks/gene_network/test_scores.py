"""Scores of pairs side by side, the table of edges, the network."""

import igraph
import numpy as np
import pandas as pd
import pytest

from sc_mamba2.tasks.gene_network.params import BaselineParams, NetworkParams
from sc_mamba2.tasks.gene_network.scores import (
    draw_sample,
    edge_table,
    make_network,
    mean_rank,
    score_pairs,
)
from sc_mamba2.training import ComputeOptions


@pytest.fixture(scope="module")
def scores(cells, scoring, prepared):
    model, _, choice = prepared
    return score_pairs(cells, model, choice, scoring, BaselineParams(), ComputeOptions())


def test_ranks_are_from_worst_to_best_and_of_pairs_only():
    pairs = np.array([[False, True, True], [True, True, True]])
    part = np.array([[9.0, 1, 2], [3, 4, 5]])
    found = mean_rank([part, 2 * part], pairs)
    np.testing.assert_allclose(found, [[0, 0, 0.25], [0.5, 0.75, 1]])


def test_every_way_scores_every_pair_and_the_untrained_model_stands_beside(scores):
    assert set(scores.by_method) == {"mean_rank", "knock_out", "cosine"}
    assert set(scores.baselines) == {"correlation", "pearson", "untrained cosine"}
    assert set(scores.ablations) == {"untrained knock_out"} and scores.cells == 30
    every = scores.by_method | scores.baselines | scores.ablations
    assert all(it.shape == (4, 12) and np.isfinite(it).all() for it in every.values())
    np.testing.assert_array_equal(np.abs(scores.correlation_RT), scores.baselines["correlation"])
    assert not np.allclose(scores.by_method["cosine"], scores.baselines["untrained cosine"])


def test_scores_follow_the_seed_and_leave_cells_and_model_as_they_are(cells, scoring, prepared):
    model, _, choice = prepared
    before, weights = cells.copy(), {k: v.clone() for k, v in model.state_dict().items()}
    params, options = BaselineParams(untrained=False), (ComputeOptions(), ComputeOptions(seed=1))
    one, again, other = (
        score_pairs(cells, model, choice, scoring, params, options[at]) for at in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.correlation_RT, again.correlation_RT)
    np.testing.assert_array_equal(one.by_method["mean_rank"], again.by_method["mean_rank"])
    assert not np.array_equal(one.correlation_RT, other.correlation_RT) and not one.ablations
    assert not (cells.X != before.X).nnz and cells.obs.equals(before.obs)
    assert all((value == weights[name]).all() for name, value in model.state_dict().items())


def test_the_sample_is_of_different_cells_in_their_order(cells, scoring, prepared):
    sample, tokens = draw_sample(cells, prepared[0], scoring, ComputeOptions())
    places = cells.obs_names.get_indexer(sample.obs_names)
    assert len(places) == 30 and (np.diff(places) > 0).all()
    assert list(tokens.obs.index) == list(sample.obs_names)


def test_edges_are_the_best_pairs_of_two_genes(scores):
    method = "mean_rank"
    edges = edge_table(scores, method, 10_000)
    assert len(edges) == scores.choice.pairs().sum()
    assert (edges["source_id"] != edges["target_id"]).all()
    assert edges["score"].is_monotonic_decreasing
    regulators, targets = list(scores.choice.regulators), list(scores.choice.targets)
    for edge in edges.head(7).itertuples():
        at = regulators.index(edge.source_id), targets.index(edge.target_id)
        assert edge.score == scores.by_method[method][at]
        assert edge.sign == np.sign(scores.knock_outs.specific_RT[at])
        assert edge.correlation == scores.correlation_RT[at]
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
