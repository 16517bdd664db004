"""What shifts all types of a query alike is no type: by slow twins, and on cells of another chemistry."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from sc_mamba2.methods.class_shift import class_shift
from sc_mamba2.tasks.annotation.experts import (
    ExpertInputs,
    Readings,
    by_logistic_regression,
    by_pca_neighbours,
    predict_with_experts,
)
from sc_mamba2.tasks.annotation.params import ConsensusParams

GENES, OWN = 60, 8  # genes, and of each type


def cells(sizes, seed=0, chemistry=0.0, depth=4000):
    """Counts of types that express genes of their own more; `chemistry` scales every gene by chance."""
    random = np.random.default_rng(seed)
    rates = np.ones((len(sizes), GENES))
    for own in range(len(sizes)):
        rates[own, own * OWN : (own + 1) * OWN] = 3.0
    rates = rates * np.exp(chemistry * np.random.default_rng(7).normal(size=GENES))
    classes = np.repeat(np.arange(len(sizes)), sizes)
    share = rates[classes] / rates[classes].sum(axis=1, keepdims=True)
    return Readings(sparse.csr_matrix(random.poisson(depth * share).astype(float)), True), classes


def inputs(classes=3, **params):
    reference, known = cells([40] * classes)
    query, _ = cells([90, 10, *[20] * (classes - 2)], seed=1, chemistry=1.2)
    return ExpertInputs(reference, known, classes, query, ConsensusParams(**params), 0)


def dense(matrix):
    return np.asarray(matrix.toarray(), dtype=np.float64)


@pytest.mark.parametrize("classes", [2, 3])
def test_shifted_logits_and_components_are_those_of_shifted_cells(classes):
    given = inputs(classes)
    reference, query = dense(given.reference_RG), dense(given.query_NG)
    calls = given.ranks.calls_N
    means = np.stack([reference[given.classes_R == known].mean(axis=0) for known in range(classes)])
    sums = np.stack([query[calls == known].sum(axis=0) for known in range(classes)])
    shift = class_shift(sums, np.bincount(calls, minlength=classes), means)
    np.testing.assert_allclose(given.shift_G, (1 - given.likeness) * shift, atol=1e-6)
    assert np.abs(given.shift_G).max() > 0.5
    shifted = query - given.shift_G
    model = LogisticRegression(C=500 / len(reference), max_iter=300, tol=1e-3)
    model.fit(given.reference_RG, given.classes_R)
    np.testing.assert_allclose(
        by_logistic_regression(given), model.predict_proba(shifted.astype(np.float32)), atol=1e-4
    )
    voters = KNeighborsClassifier(15).fit(given.components[0], given.classes_R)
    slow = voters.predict_proba(given.axes.transform(shifted.astype(np.float32)))
    np.testing.assert_allclose(by_pca_neighbours(given), slow, atol=1 / 15 + 1e-6)
    assert (by_pca_neighbours(given).argmax(axis=1) == slow.argmax(axis=1)).mean() > 0.98


@pytest.mark.parametrize(("sizes", "chemistry"), [((90, 10, 20), 1.2), ((0, 0, 60), 0.6)])
def test_another_chemistry_is_no_other_type_whatever_types_the_query_has(sizes, chemistry):
    reference, known = cells([40, 40, 40])
    query, truth = cells(sizes, seed=1, chemistry=chemistry)
    right = {}
    for shift in (0.0, 1.0):
        found = predict_with_experts(reference, known, 3, query, ConsensusParams(shift=shift), 0)
        right[shift] = {n: (p.argmax(axis=1) == truth).mean() for n, p in found.by_expert.items()}
    assert len(right[1.0]) == 5 and min(right[1.0].values()) > 0.95
    before, after = (np.mean(list(found.values())) for found in right.values())
    assert before <= after and (before < after or 0 in sizes)


def test_cells_like_the_reference_are_not_shifted(monkeypatch):
    monkeypatch.setattr("sc_mamba2.tasks.annotation.experts.similarity", lambda *_: 1.0)
    given = inputs()
    assert not given.shift_G.any()
    same = inputs(shift=0.0)
    np.testing.assert_array_equal(given.ranks.query_NF, same.ranks.query_NF)
    np.testing.assert_array_equal(by_logistic_regression(given), by_logistic_regression(same))


def test_what_is_far_stays_far():
    moved, still = inputs().ranks, inputs(shift=0.0).ranks
    np.testing.assert_array_equal(moved.distance_N, still.distance_N)
    assert not np.array_equal(moved.query_NF, still.query_NF)


def test_means_of_few_cells_shift_nothing():
    assert not inputs(shift_cells=40).shift_G.any()
    assert inputs(shift_cells=39).shift_G.any()
