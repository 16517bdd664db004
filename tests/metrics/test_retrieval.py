"""Hits and ranks against plain counting."""

import numpy as np
import pytest

from sc_mamba2.metrics import retrieval as metrics


def test_ranks_hits_and_reciprocal_ranks():
    ranks = [1, 2, 3]
    assert metrics.hits(ranks, 1) == pytest.approx(1 / 3)
    assert metrics.hits([*ranks, None], 3) == pytest.approx(3 / 4)
    assert metrics.mean_reciprocal_rank([*ranks, None]) == pytest.approx((1 + 1 / 2 + 1 / 3) / 4)


def test_chance_is_what_shuffling_comes_to():
    generator = np.random.default_rng(0)
    ranks = [int(generator.permutation(12)[0]) + 1 for _ in range(20_000)]
    assert metrics.random_hits(12, 3) == pytest.approx(metrics.hits(ranks, 3), abs=0.01)
    expected = metrics.mean_reciprocal_rank(ranks)
    assert metrics.random_reciprocal_rank(12) == pytest.approx(expected, abs=0.01)
    assert metrics.random_hits(2, 5) == 1


def test_equals_share_the_mean_of_their_places():
    scores = np.array([3.0, 1, 1, 5, 1, -np.inf])
    assert [metrics.tied_rank(scores, at) for at in range(6)] == [2, 4, 4, 1, 4, 6]
