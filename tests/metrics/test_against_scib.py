"""The default scores against scib-metrics, on the same neighbours and clusters (extra `metrics`)."""

import numpy as np
import pytest
from tests.metrics import plain

from sc_mamba2.metrics.clustering import asw_label, best_clustering
from sc_mamba2.metrics.integration import extra_scores, integration_scores
from sc_mamba2.metrics.mixing import asw_batch, graph_connectivity
from sc_mamba2.metrics.neighbours import nearest_neighbours

scib = pytest.importorskip("scib_metrics", reason="needs the extra `metrics`: make test-extras")
GRID = tuple(2 * step / 10 for step in range(1, 11))  # the resolutions of scib-metrics


def differences(points: np.ndarray, labels: np.ndarray, batches: np.ndarray) -> dict[str, float]:
    """Give ours less theirs for every default score."""
    from scib_metrics.nearest_neighbors import NeighborsResults

    neighbours = nearest_neighbours(points, 15)
    theirs = NeighborsResults(neighbours.indices_NK, neighbours.distances_NK)
    best = best_clustering(neighbours, labels, seed=42, resolutions=GRID)
    leiden = scib.nmi_ari_cluster_labels_leiden(theirs, labels, seed=42)
    return {
        "nmi": best.nmi - leiden["nmi"],
        "ari": best.ari - leiden["ari"],
        "asw_label": asw_label(points, labels) - scib.silhouette_label(points, labels),
        "asw_batch": asw_batch(points, labels, batches)
        - scib.silhouette_batch(points, labels, batches),
        "graph_connectivity": graph_connectivity(neighbours, labels)
        - scib.graph_connectivity(theirs, labels),
    }


@pytest.mark.parametrize("seed", range(3))
def test_default_scores(seed):
    points, labels, batches = plain.blobs(400, seed)
    points = points + np.random.default_rng(seed).normal(size=points.shape).astype(np.float32) * 2
    apart = differences(points, labels, batches)
    assert max(map(abs, apart.values())) < 1e-5, apart


def test_extra_scores_are_theirs_and_in_range():
    points, labels, batches = plain.blobs(400)
    scores = integration_scores(points, labels, batches, before_NE=points * 2)
    extra = {key: scores[key] for key in ("ilisi", "clisi", "kbet", "pcr")}
    assert all(0 <= value <= 1 for value in extra.values()), extra
    assert extra["clisi"] > 0.99 and extra["pcr"] == pytest.approx(0, abs=1e-4)
    apart = points + 30 * (batches == "x")[:, None]
    worse = extra_scores(apart, labels, batches, before_NE=points)
    assert worse["ilisi"] < extra["ilisi"] and worse["kbet"] < 0.1
    better = extra_scores(points + 1.5 * (batches == "x")[:, None], labels, batches, apart)
    assert better["ilisi"] > extra["ilisi"] and better["kbet"] > 0.8 and better["pcr"] > 0.9


def test_extra_scores_of_cells_that_do_not_allow_them():
    points, labels, batches = plain.blobs(60)
    nothing = dict.fromkeys(("ilisi", "clisi", "kbet", "pcr"))
    assert extra_scores(points, None, None, points) == nothing
    assert extra_scores(points[:3], labels[:3], batches[:3]) == nothing
    assert extra_scores(points, ["a"] * 60, ["x"] * 60, points) == nothing
    few = extra_scores(points[:8], labels[:8], batches[:8])
    assert few["kbet"] is None and few["ilisi"] is not None
    some = extra_scores(points, np.where(labels == "a", None, labels), batches)
    assert some == extra_scores(
        points[labels != "a"], labels[labels != "a"], batches[labels != "a"]
    )
