"""Stumps of all targets at once beside a plain loop of the definition."""

import numpy as np

from sc_mamba2.methods.stump_boosting import stump_importances


def plain(x, y, own, rounds, rate):
    """Componentwise boosting of one target, residual by residual."""
    above = (x > 0) - (x > 0).mean(axis=0)
    length = np.linalg.norm(above, axis=0)
    residual = (y - y.mean()) / np.linalg.norm(y - y.mean())
    found = np.zeros(x.shape[1])
    for _ in range(rounds):
        fits = [above[:, at] @ residual / length[at] if own[at] else 0 for at in range(len(found))]
        best = int(np.argmax(np.abs(fits)))
        before = residual @ residual
        residual = residual - rate * fits[best] * above[:, best] / length[best]
        found[best] += before - residual @ residual
    return found


def test_all_targets_at_once_are_as_one_by_one():
    generator = np.random.default_rng(0)
    x = np.maximum(generator.normal(size=(60, 5)), 0)
    y = x @ generator.normal(size=(5, 7)) + generator.normal(size=(60, 7))
    pairs = generator.random((5, 7)) < 0.8
    found = stump_importances(x, y, pairs, 40, 0.2)
    for at in range(7):
        np.testing.assert_allclose(found[:, at], plain(x, y[:, at], pairs[:, at], 40, 0.2))
    assert not found[~pairs].any() and (found.sum(axis=0) <= 1).all()


def test_constant_genes_and_targets_without_a_regulator_explain_nothing():
    x, y = np.ones((9, 1)), np.arange(18.0).reshape(9, 2) * [1, 0]
    assert not stump_importances(x, y, np.array([[True, False]]), 5, 0.1).any()
