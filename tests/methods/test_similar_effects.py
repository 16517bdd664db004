"""Likeness, weights and stacking against their formulas written out."""

import numpy as np
from hypothesis import given, strategies as st

from sc_mamba2.methods.similar_effects import (
    damped_cosines,
    kernel_ridge_effect,
    similarity_weights,
    stacking_shares,
    weighted_effects,
)

RANDOM = np.random.default_rng(0)


def test_a_damped_cosine_is_less_where_little_is_known():
    own, others = np.array([1.0, 0.0]), np.array([[2.0, 0.0], [0.1, 0.0], [0.0, 1.0], [0.0, 0.0]])
    np.testing.assert_allclose(damped_cosines(own, others), [1, 1, 0, 0])
    damped = damped_cosines(own, others, 0.1)
    np.testing.assert_allclose(damped[:2], [2 / np.sqrt(1.1 * 4.1), 0.1 / np.sqrt(1.1 * 0.11)])


def test_weights_without_likeness_are_the_mean():
    np.testing.assert_allclose(similarity_weights(np.zeros((2, 4))), 0.25)


def test_an_unknown_gene_is_left_out_of_the_mean():
    effects, known = RANDOM.normal(size=(3, 2)), np.array([[1.0, 0], [1, 0], [0, 0]])
    found = weighted_effects(np.array([[0.5, 0.25, 0.25]]), effects, known)
    np.testing.assert_allclose(found, [[(2 * effects[0, 0] + effects[1, 0]) / 3, 0]])


@given(st.integers(0, 10_000))
def test_no_other_shares_on_the_simplex_have_less_loss(seed):
    generator = np.random.default_rng(seed)
    errors, weights = generator.normal(size=(5, 3, 7)), generator.random(5)
    prior = np.full(3, 1 / 3)

    def loss(share):
        mixed = np.einsum("k,pkg->pg", share, errors)
        return weights @ (mixed**2).sum(axis=1) + 0.5 * ((share - prior) ** 2).sum()

    best = stacking_shares(errors, weights, prior, 0.5)
    assert abs(best.sum() - 1) < 1e-9 and best.min() >= 0
    others = generator.dirichlet(np.ones(3), 200)
    assert loss(best) <= min(map(loss, others)) + 1e-4 * (1 + loss(best))


def test_without_evidence_the_shares_are_the_prior():
    prior = np.array([0.5, 0.3, 0.2])
    np.testing.assert_allclose(stacking_shares(np.zeros((0, 3, 4)), np.zeros(0), prior, 1.0), prior)


def test_kernel_ridge_is_ridge_on_the_descriptions_with_the_best_strength():
    features, own = RANDOM.normal(size=(8, 3)), RANDOM.normal(size=3)
    effects = features @ RANDOM.normal(size=(3, 5)) + 0.1 * RANDOM.normal(size=(8, 5))
    found = kernel_ridge_effect(features @ features.T, features @ own, effects, [0.1, 100.0])
    centred = effects - effects.mean(axis=0)
    weights = np.linalg.solve(features.T @ features + 0.1 * np.eye(3), features.T @ centred)
    np.testing.assert_allclose(found, effects.mean(axis=0) + own @ weights)
