"""Scores without labels: they tell an embedding that mixes well from one that does not, or too much."""

import numpy as np
import pytest

from sc_mamba2.tasks.batch_correction.label_free import agreed_clusters, inner_scores


@pytest.fixture(scope="module")
def cells():
    """Three types in two batches: as they should be, with a shift, and all in one heap."""
    generator = np.random.default_rng(0)
    types, codes = np.arange(240) % 3, np.arange(240) // 120
    good = 8 * np.eye(3)[types] + generator.normal(size=(240, 3))
    apart = np.column_stack([good, 20 * codes])
    heap = generator.normal(size=(240, 3))
    return {"good": good, "apart": apart, "heap": heap}, codes


def test_the_good_one_is_best_and_each_fault_shows_where_it_lies(cells):
    embeddings, codes = cells
    clusters = agreed_clusters([embeddings["good"], embeddings["apart"]], codes)
    scores = {name: inner_scores(own, codes, clusters) for name, own in embeddings.items()}
    best = max(scores, key=lambda name: scores[name]["inner"])
    assert best == "good"
    assert scores["apart"]["clusters_mixed"] < scores["good"]["clusters_mixed"] - 0.2
    assert scores["heap"]["clusters_kept"] < scores["good"]["clusters_kept"] - 0.3
    one = scores["good"]
    expected = 0.6 * one["clusters_kept"] + 0.4 * one["clusters_mixed"]
    assert one["inner"] == pytest.approx(expected)


def test_of_many_cells_some_are_looked_at(cells, monkeypatch):
    monkeypatch.setattr("sc_mamba2.tasks.batch_correction.label_free.MAX_CELLS", 100)
    embeddings, codes = cells
    clusters = agreed_clusters([embeddings["good"]], codes)
    assert len(clusters.rows) == 100 and (np.bincount(codes[clusters.rows]) == 50).all()
    assert inner_scores(embeddings["good"], codes, clusters)["clusters_kept"] > 0.8
