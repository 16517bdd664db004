"""Simple methods beside the model."""

import numpy as np

from sc_mamba2.tasks.gene_network.baselines import compare
from sc_mamba2.tasks.gene_network.params import BaselineParams


def test_correlation_keeps_its_sign_beside_scores_and_boosting_is_on_demand():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(50, 2))
    y = np.stack([-x[:, 0], x[:, 1] ** 3], axis=1)
    pairs = np.ones((2, 2), bool)
    correlation, scores = compare(x, y, pairs, BaselineParams(), 0)
    np.testing.assert_allclose(np.diag(correlation), [-1, 1])
    np.testing.assert_array_equal(scores["correlation"], np.abs(correlation))
    assert scores["pearson"][1, 1] < 1 and set(scores) == {"correlation", "pearson"}
    boosted = compare(x, y, pairs, BaselineParams(boosting=True, trees=10), 0)[1]["boosting"]
    assert boosted.argmax(axis=0).tolist() == [0, 1]
