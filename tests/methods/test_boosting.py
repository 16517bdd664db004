"""Importances of boosted trees: who drives a target, and what may not."""

import numpy as np

from sc_mamba2.methods.boosting import boosted_importances


def test_boosting_finds_who_drives_a_target_and_calls_after_each():
    x = np.random.default_rng(2).normal(size=(80, 4))
    y = np.stack([3 * x[:, 2], -2 * x[:, 0]], axis=1)
    steps = []
    importance = boosted_importances(
        x, y, np.ones((4, 2), bool), 30, 0, lambda *step: steps.append(step)
    )
    assert importance.argmax(axis=0).tolist() == [2, 0] and steps == [(1, 2), (2, 2)]
    np.testing.assert_allclose(importance.sum(axis=0), 1)


def test_a_gene_is_not_regressed_on_itself_nor_a_constant_on_any():
    x = np.random.default_rng(3).normal(size=(60, 3))
    y = np.stack([x[:, 0], np.ones(60), x[:, 1] + x[:, 2]], axis=1)
    pairs = np.ones((3, 3), bool)
    pairs[0, 0] = pairs[1, 2] = False
    importance = boosted_importances(x, y, pairs, 10, 0)
    assert importance[0, 0] == importance[1, 2] == 0 and not importance[:, 1].any()
    assert importance[2, 2] > 0
