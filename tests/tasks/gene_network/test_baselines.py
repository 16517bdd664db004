"""Simple methods beside the model."""

import numpy as np

from sc_mamba2.tasks.gene_network.baselines import compare
from sc_mamba2.tasks.gene_network.params import BaselineParams


def test_the_simple_methods_find_who_makes_whom_and_trees_are_on_demand():
    generator = np.random.default_rng(0)
    x = np.maximum(generator.normal(size=(200, 2)), 0)
    y = np.stack([-x[:, 0], x[:, 1] ** 3], axis=1)
    pairs = np.ones((2, 2), bool)
    scores = compare(x, y, pairs, BaselineParams(), 0)
    np.testing.assert_allclose(np.diag(scores["correlation"]), [-1, 1])
    assert set(scores) == {"correlation", "pearson", "boosting"} and scores["pearson"][1, 1] < 1
    assert scores["boosting"].argmax(axis=0).tolist() == [0, 1]
    trees = compare(x, y, pairs, BaselineParams(boosting=True, trees=10), 0)["boosted trees"]
    assert trees.argmax(axis=0).tolist() == [0, 1]
