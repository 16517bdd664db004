"""The nearest class mean: its calls are those of scikit-learn, and sizes of classes play no part."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst
from scipy.special import log_softmax
from sklearn.neighbors import NearestCentroid

from sc_mamba2.methods.prototypes import fit_prototypes

CHANCE = np.random.default_rng(0)
CLASSES = np.repeat([0, 1, 2], [40, 15, 5])
STATES = CHANCE.normal(size=(60, 6)) + CHANCE.normal(size=(3, 6))[CLASSES] * 2
QUERY = CHANCE.normal(size=(30, 6)) * 2


def test_calls_are_those_of_scikit_learn():
    found = fit_prototypes([STATES], CLASSES, 3)
    plain = NearestCentroid().fit(STATES, CLASSES)
    assert np.array_equal(found.logits([QUERY]).argmax(axis=1), plain.predict(QUERY))


def test_two_blocks_have_an_equal_say():
    other = CHANCE.normal(size=(60, 3)) * 100 + CLASSES[:, None] * 50
    found = fit_prototypes([STATES, other], CLASSES, 3)
    scales = [np.sqrt(block.var(axis=0).sum()) for block in (STATES, other)]
    beside = np.hstack([STATES / scales[0], other / scales[1]])
    plain = NearestCentroid().fit(beside, CLASSES)
    assert np.array_equal(found.logits([STATES, other]).argmax(axis=1), plain.predict(beside))


@given(npst.arrays(float, (8, 3), elements=st.floats(-5, 5)), st.integers(2, 5))
def test_more_cells_of_a_class_change_no_call(states, times):
    """Copies of a class's cells leave every mean where it was."""
    classes = np.repeat([0, 1], 4)
    if states.std() < 1e-3:
        return
    rows = np.concatenate([np.arange(4), np.tile(np.arange(4, 8), times)])
    queries = CHANCE.normal(size=(20, 3))
    means = np.stack([states[:4].mean(axis=0), states[4:].mean(axis=0)])
    far = np.square(queries[:, None] - means).sum(axis=2)
    clear = np.abs(far[:, 0] - far[:, 1]) > 1e-6
    found = fit_prototypes([states[rows]], classes[rows], 2)
    calls = found.logits([queries]).argmax(axis=1)
    assert np.array_equal(calls[clear], far.argmin(axis=1)[clear])


def test_no_other_strength_makes_the_classes_likelier():
    mixed = STATES + CHANCE.normal(size=STATES.shape) * 3  # no strength tells apart all of them
    found = fit_prototypes([mixed], CLASSES, 3)

    def surprise(factor):
        told = log_softmax(found.logits([mixed]) * factor, axis=1)
        return -told[np.arange(60), CLASSES].mean()

    assert surprise(1.0) < min(surprise(0.9), surprise(1.1))


@pytest.mark.parametrize("present", [(0, 2), (1, 2)])
def test_a_class_without_cells_is_never_called(present):
    mine = np.isin(CLASSES, present)
    found = fit_prototypes([STATES[mine]], CLASSES[mine], 3)
    assert set(found.logits([QUERY]).argmax(axis=1)) <= set(present)


def test_a_block_that_does_not_vary_says_nothing():
    found = fit_prototypes([STATES, np.ones((60, 2))], CLASSES, 3)
    assert not found.weights[1].any()
