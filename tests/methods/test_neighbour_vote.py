"""Votes of neighbours by hand; cross-validated votes where types lie apart."""

import numpy as np
import pytest

from sc_mamba2.methods.neighbour_vote import NeighbourVote, cross_validated_votes


def test_near_points_weigh_more():
    vote = NeighbourVote(np.array([[0.0], [1.0], [4.0]]), np.array([0, 1, 1]), 3)
    best, share, distance = vote(np.array([[0.4], [3.0]]))
    assert best.tolist() == [0, 1]
    votes = np.array([1 / 0.4, 1 / 0.6 + 1 / 3.6])
    assert share[0] == pytest.approx(max(votes) / votes.sum())
    assert distance == pytest.approx([(0.4 + 0.6 + 3.6) / 3, (3 + 2 + 1) / 3])


def test_cross_validated_votes_or_none():
    random = np.random.default_rng(0)
    classes = np.repeat(["a", "b"], 20)
    points = random.normal(size=(40, 2)) + 10 * (classes == "b")[:, None]
    assert (cross_validated_votes(points, classes, 5, 5, 0) == classes).all()
    assert cross_validated_votes(points, np.repeat("a", 40), 5, 5, 0) is None
    assert cross_validated_votes(points[:2], np.array(["a", "b"]), 5, 5, 0) is None
