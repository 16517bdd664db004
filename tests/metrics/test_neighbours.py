"""Nearest neighbours against sorting all distances; the index against the exact search."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.neighbors import NearestNeighbors
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


POINTS = np.vstack([blobs(600)[0], np.zeros((20, 10))])  # doubles hide a cell from itself


def close(found, exact) -> float:
    """Check the form of what an index found, and return the share of right distances."""
    assert (found.indices_NK[:, 0] == np.arange(len(POINTS))).all()
    assert (np.diff(found.distances_NK, axis=1) >= 0).all()
    return np.isclose(found.distances_NK, exact.distances_NK, atol=1e-3).mean()


def test_what_an_index_misses_is_searched_exactly(monkeypatch):
    """One that knows all but leaves out: without the compiling of `pynndescent`, 40 seconds."""

    def index(points, n_neighbors, **options):
        apart, near = NearestNeighbors(n_neighbors=n_neighbors).fit(points).kneighbors(points)
        near[::7, -2:], apart[::7, -2:] = -1, np.inf
        return SimpleNamespace(neighbor_graph=(near, apart))

    monkeypatch.setitem(sys.modules, "pynndescent", SimpleNamespace(NNDescent=index))
    found = nearest_neighbours(POINTS, 15, exact_up_to=10)
    assert close(found, nearest_neighbours(POINTS, 15)) == 1


@pytest.mark.slow  # it compiles for long
def test_the_index_finds_what_the_exact_search_finds():
    found = nearest_neighbours(POINTS, 15, seed=1, exact_up_to=10)
    again = nearest_neighbours(POINTS, 15, seed=1, exact_up_to=10)
    assert (found.indices_NK == again.indices_NK).all()
    assert close(found, nearest_neighbours(POINTS, 15)) > 0.98
