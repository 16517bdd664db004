"""Removal of batches against plain twins, and by properties."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.metrics import plain

from sc_mamba2.metrics.mixing import asw_batch, graph_connectivity, neighbour_mixing
from sc_mamba2.metrics.neighbours import nearest_neighbours


@given(plain.scenes())
def test_asw_batch_against_the_plain_twin(scene):
    got, expected = asw_batch(*scene), plain.asw_batch(*scene)
    if expected is None:
        assert got is None
    else:
        assert got == pytest.approx(expected) and 0 <= got <= 1


@given(plain.scenes(), st.integers(2, 8))
def test_graph_connectivity_against_the_plain_twin(scene, count):
    points, labels, _ = scene
    neighbours = nearest_neighbours(points, count)
    got = graph_connectivity(neighbours, labels)
    assert got == pytest.approx(plain.connectivity(neighbours.indices_NK, labels))
    assert 0 < got <= 1


@given(plain.scenes(), st.randoms(use_true_random=False))
def test_neither_order_nor_names_count(scene, random):
    points, labels, batches = scene
    order = random.sample(range(len(labels)), len(labels))
    renamed = np.array([{"x": 7, "y": 5, "z": 1}[batch] for batch in batches])
    names = np.char.add("type ", labels)
    one = asw_batch(points, labels, batches)
    other = asw_batch(points[order] - 3, names[order], renamed[order])
    assert (one is None and other is None) or one == pytest.approx(other, abs=1e-9)
    before = graph_connectivity(nearest_neighbours(points, 5), labels)
    after = graph_connectivity(nearest_neighbours(points[order], 5), names[order])
    assert before == pytest.approx(after)


def test_cells_without_label_or_batch_are_left_out():
    points, labels, batches = plain.blobs(120)
    far = np.vstack([points, points[:2] + 1e3])
    more, theirs = [*labels, None, "a"], [*batches, "x", np.nan]
    assert asw_batch(far, more, theirs) == pytest.approx(asw_batch(points, labels, batches))


def test_connectivity_counts_labelled_cells_alone():
    line = np.arange(6.0)[:, None]
    neighbours = nearest_neighbours(line, 3)  # each cell points to both beside it
    assert graph_connectivity(neighbours, ["a"] * 6) == 1
    # without the two in the middle, two pieces of two are left
    assert graph_connectivity(neighbours, ["a", "a", None, np.nan, "a", "a"]) == 0.5
    assert graph_connectivity(neighbours, [None] * 6) is None


def test_a_batch_that_stands_apart_lowers_the_score():
    points, labels, batches = plain.blobs()
    scores = [
        asw_batch(points + shift * (batches == "x")[:, None], labels, batches)
        for shift in (1.5, 4, 20)  # 1.5 takes away the shift that the cells have
    ]
    assert scores[0] > 0.95 and scores[0] > scores[1] > scores[2]


def test_labels_of_one_batch_or_of_a_cell_a_batch_say_nothing():
    points = np.random.default_rng(0).normal(size=(7, 2))
    labels = list("aaabbcc")
    assert asw_batch(points, labels, list("xxxyyxy")) is None
    assert asw_batch(points, labels, ["x"] * 7) is None


def test_a_sample_keeps_rare_batches_in_their_share():
    points, labels, _ = plain.blobs(2000)
    batches = np.where(np.arange(2000) % 10 == 0, "x", "y")  # a step of 10 would see x alone
    some = asw_batch(points, labels, batches, most=1000)
    assert some == pytest.approx(asw_batch(points, labels, batches), abs=0.02)


@given(plain.scenes(), st.integers(2, 8))
def test_neighbour_mixing_against_the_sum_written_out(scene, count):
    points, _, batches = scene
    neighbours = nearest_neighbours(points, count)
    got = neighbour_mixing(neighbours, batches)
    known = [cell for cell in range(len(points)) if batches[cell] is not None]
    own, chance = [], []
    for cell in known:
        near = [other for other in neighbours.indices_NK[cell, 1:] if batches[other] is not None]
        if near:
            own.append(np.mean([batches[other] == batches[cell] for other in near]))
            chance.append(np.mean([batches[o] == batches[cell] for o in known if o != cell]))
    if len({batches[cell] for cell in known}) < 2 or not own:
        assert got is None
    else:
        assert got == pytest.approx(1 - (np.mean(own) - np.mean(chance)) / (1 - np.mean(chance)))


def test_neighbour_mixing_is_one_by_chance_and_zero_apart():
    points = np.random.default_rng(0).normal(size=(600, 3))
    batches = np.array(["x", "y", "y"] * 200)
    assert neighbour_mixing(nearest_neighbours(points), batches) == pytest.approx(1, abs=0.05)
    apart = points + 100 * (batches == "x")[:, None]
    assert neighbour_mixing(nearest_neighbours(apart), batches) == 0
    assert neighbour_mixing(nearest_neighbours(points), ["x"] * 600) is None
