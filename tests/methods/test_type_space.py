"""Types lie together whatever the depth and the batch; strangers lie beyond what was left out."""

import numpy as np
import pytest

from sc_mamba2.methods.neighbour_vote import NeighbourVote
from sc_mamba2.methods.type_space import TypeSpace, left_out_distances, mean_direction


def cells(seed, centres, n=40, width=12, nuisance=0.0):
    """Three types on axes of their own, and noise along one direction that is no type's."""
    random = np.random.default_rng(seed)
    classes = np.repeat(np.arange(len(centres)), n)
    vectors = 5.0 + 0.3 * random.normal(size=(len(classes), width))
    vectors[np.arange(len(classes)), np.asarray(centres)[classes]] += 6
    vectors[:, -1] += 2 * random.normal(size=len(classes)) + nuisance
    return vectors, classes


def test_depth_changes_nothing_and_points_have_length_one():
    vectors, classes = cells(0, [0, 1, 2])
    space = TypeSpace(vectors, classes, 1.0)
    np.testing.assert_allclose(space.place(3 * vectors), space.place(vectors), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(space.place(vectors), axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("batches", [None, np.tile([0, 1], 60)], ids=["folds", "batches"])
def test_another_protocol_is_within_the_limit_and_another_tissue_beyond(batches):
    vectors, classes = cells(0, [0, 1, 2])
    space = TypeSpace(vectors, classes, 1.0)
    vote = NeighbourVote(space.place(vectors), classes, 15)
    own = left_out_distances(vectors, classes, batches, 1.0, 15, 4, 0)
    assert len(own) == 120 and (np.diff(own) >= 0).all()
    same, truth = cells(1, [0, 1, 2], nuisance=3.0)
    shift = space.shift(mean_direction([same[:50], same[50:]]), 0.5)
    called, _, near = vote(space.place(same, shift))
    assert (called == truth).mean() > 0.95
    other, _ = cells(2, [5, 6, 7])
    far = vote(space.place(other, space.shift(mean_direction([other]), 0.5)))[2]
    assert np.quantile(near, 0.9) < np.quantile(far, 0.1)
    assert np.quantile(own, 0.99) < np.quantile(far, 0.1)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_few_points_and_lone_types_do_not_fail(number):
    vectors = np.eye(4)[:number]
    classes = np.arange(number)
    placed = TypeSpace(vectors, classes, 1.0).place(vectors)
    assert np.isfinite(placed).all()
    assert len(left_out_distances(vectors, classes, None, 1.0, 15, 4, 0)) == (number > 1) * number


@pytest.mark.parametrize("kept", [[0, 1, 2], [0, 1], [2]], ids=["all", "two types", "one type"])
def test_a_shift_is_found_whatever_types_a_query_has(kept):
    vectors, classes = cells(0, [0, 1, 2])
    space = TypeSpace(vectors, classes, 1.0)
    query, truth = cells(1, [0, 1, 2])
    query[:, 3] += 4.0  # another protocol
    query, truth = query[np.isin(truth, kept)], truth[np.isin(truth, kept)]
    found = space.shift_within([query[:7], query[7:]], truth)
    units, own = (v / np.linalg.norm(v, axis=1)[:, None] for v in (query, vectors))
    means = np.stack([own[classes == known].mean(axis=0) for known in range(3)])
    np.testing.assert_allclose(found, (units - means[truth]).mean(axis=0), atol=1e-12)
    placed = space.place(query, found)
    assert (space.nearest_mean(placed) == truth).all()
