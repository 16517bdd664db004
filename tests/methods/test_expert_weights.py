"""Experts are weighed by the cells' structure and by left-out batches, together and not one by one."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn.metrics import normalized_mutual_info_score

from sc_mamba2.methods.expert_weights import (
    LeftOut,
    mix,
    shared_information,
    unique_shares,
    weight_experts,
)

SETTINGS = {
    "structure_scale": 0.01,
    "shared_error_power": 4.0,
    "mixtures": 50,
    "seed": 0,
}


def says(called_N, classes=3, sure=0.8):
    return np.eye(classes)[called_N] * sure + (1 - sure) / classes


def some(cells=90, seed=0):
    """Return the truth, a right expert and two that err alike."""
    generator = np.random.default_rng(seed)
    truth = np.arange(cells) % 3
    wrong = np.where(generator.random(cells) < 0.4, (truth + 1) % 3, truth)
    return truth, np.stack([says(truth), says(wrong), says(wrong)])


def test_the_structure_finds_the_one_who_is_right_against_two_who_err_alike():
    truth, predicted = some()
    weight_E = weight_experts(predicted, [truth], left_out=[], **SETTINGS)
    assert weight_E[0] > 0.5 and weight_E.sum() == pytest.approx(1)
    assert (mix(predicted, weight_E).argmax(axis=1) == truth).all()


def test_left_out_batches_find_the_one_who_is_right():
    truth, predicted = some()
    weight_E = weight_experts(predicted, [], left_out=[LeftOut(predicted, truth, 0.03)], **SETTINGS)
    assert weight_E[0] > 0.5


def test_without_a_witness_those_who_call_alike_share():
    _, predicted = some()
    weight_E = weight_experts(predicted, [], left_out=[], **SETTINGS)
    np.testing.assert_allclose(weight_E, unique_shares(predicted.argmax(axis=2), 4.0))
    assert weight_E[1] == weight_E[2] < weight_E[0]


@given(st.integers(0, 100), st.integers(1, 5), st.floats(0, 8))
def test_shares_are_shares_and_copies_count_once(seed, experts, power):
    called_EN = np.random.default_rng(seed).integers(0, 3, (experts, 60))
    share_E = unique_shares(called_EN, power)
    assert (share_E > 0).all() and share_E.sum() == pytest.approx(1)
    twice_E = unique_shares(np.concatenate([called_EN[:1], called_EN]), 50.0)
    np.testing.assert_allclose(twice_E[0], twice_E[1])


def test_experts_that_call_one_class_alone_agree_and_nothing_breaks():
    assert list(unique_shares(np.zeros((2, 10), int), 4.0)) == [0.5, 0.5]


@given(st.integers(0, 1000), st.integers(1, 6), st.integers(1, 6), st.integers(1, 80))
def test_shared_information_is_that_of_scikit_learn(seed, kinds, others, cells):
    generator = np.random.default_rng(seed)
    first_N, second_N = generator.integers(0, kinds, cells), generator.integers(0, others, cells)
    expected = normalized_mutual_info_score(first_N, second_N)
    assert shared_information(first_N, second_N) == pytest.approx(expected, abs=1e-12)
