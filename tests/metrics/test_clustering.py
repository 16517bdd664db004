"""Conservation of labels against plain twins, against scanpy, and by properties."""

import anndata as ad
import igraph
import numpy as np
import pytest
import scanpy as sc
from hypothesis import given, strategies as st
from tests.metrics import plain

from sc_mamba2.metrics.clustering import (
    RESOLUTIONS,
    asw_label,
    best_clustering,
    connectivities,
    leiden,
    nmi_ari,
)
from sc_mamba2.metrics.neighbours import nearest_neighbours

pairs = st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), min_size=2, max_size=30)


@given(pairs)
def test_nmi_and_ari_against_plain_twins(drawn):
    labels, clusters = map(list, zip(*drawn, strict=True))
    got = nmi_ari(labels, np.array(clusters))
    if len(set(labels)) == 1:
        assert got is None
    else:
        expected = (plain.nmi(labels, clusters), plain.ari(labels, clusters))
        assert got == pytest.approx(expected, abs=1e-9)
        assert 0 <= got[0] <= 1 and got[1] <= 1


@given(pairs, st.randoms(use_true_random=False))
def test_neither_order_nor_names_nor_cells_without_label_count(drawn, random):
    labels, clusters = map(list, zip(*drawn, strict=True))
    random.shuffle(drawn)
    renamed = [({"a": "z", "b": "y", "c": "x"}[label], 9 - cluster) for label, cluster in drawn]
    renamed += [(None, 1), (np.nan, 2), (" ", 3)]
    others, their_clusters = map(list, zip(*renamed, strict=True))
    one, other = nmi_ari(labels, np.array(clusters)), nmi_ari(others, np.array(their_clusters))
    assert (one is None and other is None) or one == pytest.approx(other, abs=1e-9)


@given(plain.scenes())
def test_asw_label_against_the_plain_twin(scene):
    points, labels, _ = scene
    got = asw_label(points, labels)
    if len(set(labels)) == 1:
        assert got is None
    else:
        assert got == pytest.approx((np.mean(plain.silhouettes(points, labels)) + 1) / 2)
        assert 0 <= got <= 1


@given(plain.scenes(), st.randoms(use_true_random=False))
def test_asw_label_of_other_order_and_names(scene, random):
    points, labels, _ = scene
    order = random.sample(range(len(labels)), len(labels))
    names = np.array([f"type {ord('z') - ord(label)}" for label in labels], object)
    moved = np.vstack([points[order] + 7, np.full((1, points.shape[1]), 1e3)])
    got = asw_label(moved, np.append(names[order], None))
    assert got == pytest.approx(asw_label(points, labels), abs=1e-9)


def test_asw_label_of_cells_each_of_a_type_of_its_own():
    assert asw_label(np.eye(3), ["a", "b", "c"]) is None


def test_asw_label_of_some_cells_is_near_that_of_all():
    points, labels, _ = plain.blobs(2000)
    some = asw_label(points, labels, most=500)
    assert some != asw_label(points, labels)
    assert some == pytest.approx(asw_label(points, labels), abs=0.01)


def test_leiden_is_that_of_scanpy():
    points, *_ = plain.blobs()
    weights = connectivities(nearest_neighbours(points))
    cells = ad.AnnData(points)
    for resolution in (0.2, 1.0):
        sc.tl.leiden(
            cells,
            resolution=resolution,
            adjacency=weights,
            flavor="igraph",
            n_iterations=2,
            directed=False,
            random_state=5,
        )
        theirs = cells.obs["leiden"].astype(int).to_numpy()
        assert nmi_ari(theirs.astype(str), leiden(weights, resolution, 5)) == pytest.approx((1, 1))


@pytest.mark.slow
def test_weights_are_those_of_scanpy():
    points, *_ = plain.blobs()
    cells = ad.AnnData(points)
    sc.pp.neighbors(cells, n_neighbors=15, use_rep="X", transformer="sklearn")
    ours = connectivities(nearest_neighbours(points))
    assert ours.toarray() == pytest.approx(cells.obsp["connectivities"].toarray(), abs=1e-5)


def test_leiden_has_no_chance_in_it_and_leaves_the_generator_of_others():
    noise = np.random.default_rng(0).normal(size=(200, 5))
    weights = connectivities(nearest_neighbours(noise))
    first = leiden(weights, 2.0, seed=3)
    igraph.Graph.Erdos_Renyi(20, 0.5)
    assert (leiden(weights, 2.0, seed=3) == first).all()
    assert len({tuple(leiden(weights, 2.0, seed)) for seed in range(5)}) > 1


def test_the_resolution_with_the_best_nmi_is_taken():
    points, labels, _ = plain.blobs()
    neighbours = nearest_neighbours(points)
    best = best_clustering(neighbours, labels, seed=0)
    weights = connectivities(neighbours)
    tried = {r: nmi_ari(labels, leiden(weights, r, 0)) for r in RESOLUTIONS}
    assert best.nmi == max(nmi for nmi, _ in tried.values())
    assert (best.nmi, best.ari) == tried[best.resolution]
    assert best.resolution == min(r for r in RESOLUTIONS if tried[r][0] == best.nmi)
    assert len(set(RESOLUTIONS)) == 20 and (min(RESOLUTIONS), max(RESOLUTIONS)) == (0.1, 2.0)


def test_one_class_has_no_clustering():
    points, labels, _ = plain.blobs(50)
    neighbours = nearest_neighbours(points)
    assert best_clustering(neighbours, np.full(50, "a")) is None
    assert best_clustering(neighbours, np.where(labels == "a", "a", None)) is None
