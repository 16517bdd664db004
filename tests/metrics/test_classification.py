"""Metrics of calls against counting by hand and against scikit-learn's own."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from sklearn import metrics as sk

from sc_mamba2.metrics.classification import (
    classification_metrics,
    confusion,
    expected_calibration_error,
    paired_margins,
)

TRUTH = np.array(["a", "a", "a", "b", "b", "c"])
CALLS = np.array(["a", "a", "b", "b", "b", "a"])
names = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=40
)


def test_by_hand():
    scores = classification_metrics(TRUTH, CALLS)
    # a: 2 of 3 found, 2 of 3 calls right; b: 2 of 2 found, 2 of 3 calls right; c: never called
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert scores["macro_precision"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 4 / 5 + 0) / 3)


def test_all_right_and_all_wrong():
    assert set(classification_metrics(TRUTH, TRUTH).values()) == {1.0}
    assert set(classification_metrics(TRUTH, np.full(6, "z")).values()) == {0.0}


def test_a_class_that_the_caller_cannot_know_counts_as_wrong():
    scores = classification_metrics(np.array(["a", "a", "new"]), np.array(["a", "a", "a"]))
    assert scores["accuracy"] == pytest.approx(2 / 3)
    assert scores["balanced_accuracy"] == pytest.approx(1 / 2)
    assert scores["macro_f1"] == pytest.approx((4 / 5 + 0) / 2)


def test_a_class_that_only_the_caller_knows_is_no_class_of_the_mean():
    scores = classification_metrics(np.array(["a", "a", "b", "b"]), np.array(["a", "x", "b", "b"]))
    assert scores["balanced_accuracy"] == pytest.approx(3 / 4)
    assert scores["macro_precision"] == pytest.approx(1)
    assert scores["macro_f1"] == pytest.approx((2 / 3 + 1) / 2)


@given(names)
def test_against_scikit_learn(pairs):
    truth, calls = map(np.array, zip(*pairs, strict=True))
    scores = classification_metrics(truth, calls)
    labels = np.unique(truth)
    kwargs = {"labels": labels, "average": "macro", "zero_division": 0}
    assert scores["accuracy"] == pytest.approx(np.mean(truth == calls))
    recalls = [np.mean(calls[truth == label] == label) for label in labels]
    assert scores["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    assert scores["macro_f1"] == pytest.approx(sk.f1_score(truth, calls, **kwargs))
    assert scores["macro_precision"] == pytest.approx(sk.precision_score(truth, calls, **kwargs))
    assert all(type(value) is float for value in scores.values())


def test_calibration_error_by_hand():
    correct = np.array([True, True, False, True, False])
    confidence = np.array([0.95, 0.91, 0.98, 0.55, 0.52])
    # bin 0.9 to 1: 2 of 3 right at a mean of 0.946667; bin 0.5 to 0.6: 1 of 2 at 0.535
    expected = 3 / 5 * abs(2 / 3 - 2.84 / 3) + 2 / 5 * abs(1 / 2 - 1.07 / 2)
    assert expected_calibration_error(correct, confidence) == pytest.approx(expected)


def test_calibration_error_at_the_ends():
    ones = np.ones(4)
    assert expected_calibration_error(ones.astype(bool), ones) == 0
    assert expected_calibration_error(np.zeros(4, bool), ones) == 1
    assert expected_calibration_error(np.zeros(4, bool), np.zeros(4)) == 0
    assert expected_calibration_error(np.zeros(0, bool), np.zeros(0)) == 0


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=50))
def test_calibration_error_against_a_plain_twin(pairs):
    bins: dict[int, list] = {}
    for right, confidence in pairs:
        bins.setdefault(min(9, int(confidence * 10)), []).append((right, confidence))
    gaps = [abs(sum(r for r, _ in bin_) - sum(c for _, c in bin_)) for bin_ in bins.values()]
    correct, confidence = (np.array(part) for part in zip(*pairs, strict=True))
    got = expected_calibration_error(correct, confidence)
    assert got == pytest.approx(sum(gaps) / len(pairs)) and 0 <= got <= 1


def test_confusion_has_truth_in_rows_and_every_class():
    classes, counts = confusion(TRUTH, np.where(CALLS == "b", "x", CALLS))
    assert classes == ["a", "b", "c", "x"]
    assert counts.tolist() == [[2, 0, 0, 1], [0, 0, 0, 2], [1, 0, 0, 0], [0, 0, 0, 0]]


@pytest.mark.slow
def test_the_margin_is_that_of_a_bootstrap_of_the_cells():
    generator = np.random.default_rng(0)
    truth = generator.choice(list("abc"), 150)
    own, other = (
        np.where(generator.random(150) < right, truth, generator.choice(list("abcx"), 150))
        for right in (0.8, 0.6)
    )
    differences = []
    for _ in range(400):
        drawn = generator.integers(150, size=150)
        first, second = (classification_metrics(truth[drawn], c[drawn]) for c in (own, other))
        differences.append([first[name] - second[name] for name in first])
    expected = 1.96 * np.std(differences, axis=0)
    margins = paired_margins(truth, own, other, repeats=2000)
    np.testing.assert_allclose(list(margins.values()), expected, rtol=0.12)
    assert list(margins) == list(classification_metrics(truth, own))
    assert set(paired_margins(truth, own, own).values()) == {0.0}
