"""Smoothing against its fixed point, and what it leaves alone."""

import numpy as np
from scipy import sparse

from sc_mamba2.methods.graph_smoothing import smooth_over_graph

GRAPH = sparse.csr_matrix(np.array([[0, 1.0, 0, 0], [1, 0, 2, 0], [0, 2, 0, 0], [0, 0, 0, 0]]))
PROBABILITY = np.array([[1, 0], [0.2, 0.8], [0.5, 0.5], [0.3, 0.7]])


def test_many_steps_are_the_solution_of_the_linear_system():
    share, walk = 0.6, np.array([[0, 1, 0, 0], [1 / 3, 0, 2 / 3, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    exact = (1 - share) * np.linalg.solve(np.eye(4) - share * walk, PROBABILITY)
    np.testing.assert_allclose(smooth_over_graph(PROBABILITY, GRAPH, share, 200), exact)


def test_rows_keep_their_sum_and_a_lone_cell_its_word():
    smoothed = smooth_over_graph(PROBABILITY, GRAPH, 0.8, 3)
    np.testing.assert_allclose(smoothed.sum(axis=1), 1)
    np.testing.assert_allclose(smoothed[3], PROBABILITY[3])
    assert (smooth_over_graph(PROBABILITY, GRAPH, 0.0, 3) == PROBABILITY).all()
