"""Nearest neighbours against sorting all distances; the index against the exact search."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.metrics.plain import blobs, distances, scenes

from sc_mamba2.metrics.neighbours import _without_self, nearest_neighbours


@given(scenes(), st.integers(1, 50))
def test_against_sorting(scene, count):
    points, *_ = scene
    found = nearest_neighbours(points, count)
    apart = np.sort(distances(points), axis=1)[:, :count]
    assert found.distances_NK == pytest.approx(apart, abs=1e-6)
    at = np.take_along_axis(distances(points), found.indices_NK, axis=1)
    assert at == pytest.approx(found.distances_NK, abs=1e-6)


@given(st.integers(1, 30), st.integers(1, 20))
def test_a_cell_is_its_own_first_neighbour_even_among_doubles(cells, count):
    found = nearest_neighbours(np.ones((cells, 3)), count)
    assert found.indices_NK.shape == (cells, min(cells, count))
    assert (found.indices_NK[:, 0] == np.arange(cells)).all() and not found.distances_NK.any()
    assert all(len(set(row)) == len(row) for row in found.indices_NK)


def test_the_graph_and_the_nearest_few():
    found = nearest_neighbours(np.array([[0.0], [1.0], [3.0]]), 3).nearest(2)
    assert found.graph().toarray().tolist() == [[0, 1, 0], [1, 0, 0], [0, 2, 0]]


def test_self_is_dropped_wherever_it_stands():
    found = np.array([[0, 1, 2], [2, 1, 0], [0, 1, 3]])
    apart = np.array([[0.0, 1, 2], [0, 0, 4], [0, 0, 5]])
    near, far = _without_self(found, apart, np.arange(3))
    assert near.tolist() == [[1, 2], [2, 0], [0, 1]]  # 2 is hidden by doubles: its farthest goes
    assert far.tolist() == [[1, 2], [0, 4], [0, 0]]


@pytest.mark.slow  # the index compiles
def test_the_index_finds_what_the_exact_search_finds():
    points = np.vstack([blobs(600)[0], np.zeros((20, 10))])  # doubles hide a cell from itself
    exact = nearest_neighbours(points, 15)
    found = nearest_neighbours(points, 15, seed=1, exact_up_to=10)
    again = nearest_neighbours(points, 15, seed=1, exact_up_to=10)
    assert (found.indices_NK == again.indices_NK).all()
    assert (found.indices_NK[:, 0] == np.arange(len(points))).all()
    assert (np.diff(found.distances_NK, axis=1) >= 0).all()
    assert np.isclose(found.distances_NK, exact.distances_NK, atol=1e-3).mean() > 0.98
