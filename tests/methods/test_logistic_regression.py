"""The head as a convex problem: it is logistic regression, and a block's say is its scale."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from sc_mamba2.methods.logistic_regression import fit_linear_head

CHANCE = np.random.default_rng(0)
CLASSES = np.repeat([0, 1, 2], 20)
GENES = sparse.csr_matrix(
    CHANCE.gamma(0.4, 1, (60, 15)) + np.eye(3)[CLASSES] @ CHANCE.random((3, 15))
)
STATES = CHANCE.normal(size=(60, 4)) + CLASSES[:, None]


def fit(blocks, says, classes=CLASSES, n_classes=3, grid=(1.0,), folds=3):
    return fit_linear_head(blocks, says, classes, n_classes, grid, folds, 0)


def test_one_block_is_logistic_regression():
    found = fit([GENES], [1.0])
    plain = LogisticRegression(max_iter=5000, tol=1e-8, C=1.0).fit(GENES, CLASSES)
    np.testing.assert_allclose(found.logits([GENES]), plain.decision_function(GENES), atol=1e-3)


def test_two_blocks_are_one_fit_of_scaled_columns():
    say = 3.0
    factor = np.sqrt(say * GENES.toarray().var(0).sum() / STATES.var(0).sum())
    plain = LogisticRegression(max_iter=5000, tol=1e-8, C=1.0).fit(
        np.hstack([GENES.toarray(), STATES * factor]), CLASSES
    )
    found = fit([GENES, STATES], [1.0, say])
    expected = plain.predict_proba(np.hstack([GENES.toarray(), STATES * factor]))
    logits = found.logits([GENES, STATES])
    told = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(told / told.sum(1, keepdims=True), expected, atol=1e-3)


def test_fewer_cells_than_features_give_the_same_fit():
    wide = sparse.csr_matrix(CHANCE.gamma(0.4, 1, (60, 200)) * (CHANCE.random((60, 200)) < 0.5))
    plain = LogisticRegression(max_iter=5000, tol=1e-8, C=1.0).fit(wide, CLASSES)
    found = fit([wide], [1.0])
    np.testing.assert_allclose(found.logits([wide]), plain.decision_function(wide), atol=2e-3)
    np.testing.assert_allclose(found.weights[0].T, plain.coef_, atol=2e-3)


def test_a_block_that_does_not_vary_says_nothing():
    found = fit([GENES, np.ones((60, 2))], [1.0, 1.0])
    assert not found.weights[1].any()


@pytest.mark.parametrize("present", [(0, 2), (1, 2)])
def test_a_class_without_cells_is_never_called(present):
    mine = np.isin(CLASSES, present)
    found = fit([GENES[mine]], [1.0], CLASSES[mine])
    called = found.logits([GENES]).argmax(1)
    assert set(called) == set(present)
    assert (called[mine] == CLASSES[mine]).mean() > 0.8


def test_the_penalty_is_chosen_among_those_given_and_a_lone_cell_is_no_hindrance():
    assert fit([GENES], [1.0], grid=(0.01, 1.0)).strength in (0.01, 1.0)
    few = [0, 20, 40]
    assert fit([GENES[few]], [1.0], CLASSES[few], grid=(0.1, 1.0, 10.0)).strength == 1.0
