"""Sets of one kind are hard to tell apart, others are not."""

import numpy as np

from sc_mamba2.methods.two_samples import similarity


def points(cells, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(shift, 1, (cells, 10))


def test_one_kind_is_near_one_and_another_near_zero():
    assert similarity(points(300), points(300, seed=1), 0) > 0.85
    assert similarity(points(300), points(300, 5.0, seed=1), 0) < 0.05
    between = similarity(points(300), points(300, 0.3, seed=1), 0)
    assert 0.1 < between < 0.85


def test_sizes_do_not_matter_and_few_say_nothing():
    assert similarity(points(600), points(60, seed=1), 0) > 0.7
    assert similarity(points(600), points(2, seed=1), 0) == 0
    assert similarity(points(300), points(300, -5.0), 0) < 0.05  # to either side
