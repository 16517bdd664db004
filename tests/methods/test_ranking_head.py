"""The ranking head is at the optimum of its likelihood, and its factor calibrates."""

import numpy as np
import pytest
from scipy.special import log_softmax

from sc_mamba2.methods.ranking_head import fit_factor, fit_ranking_head


def test_the_head_is_at_the_optimum_and_prefers_what_discriminates():
    generator = np.random.default_rng(1)
    features = generator.normal(size=(80, 5, 2)) * [1, 3]
    truth = features[:, :, 0].argmax(axis=1)
    spread = np.sqrt(features.var(axis=1).mean(axis=0))
    weight = fit_ranking_head(features, truth, 0.01) * spread
    assert weight[0] > 1 and abs(weight[1]) < weight[0] / 5

    def loss(weight: np.ndarray) -> float:
        likelihood = log_softmax(features / spread @ weight, axis=1)[np.arange(80), truth]
        return -likelihood.mean() + 0.005 * weight @ weight

    step = 1e-5
    for axis in np.eye(2):
        slope = (loss(weight + step * axis) - loss(weight - step * axis)) / step / 2
        assert abs(slope) < 1e-3


def test_a_feature_counts_by_what_it_is_worth_and_not_by_its_unit():
    generator = np.random.default_rng(4)
    features = generator.normal(size=(60, 5, 2))
    truth = features[:, :, 0].argmax(axis=1)
    small = features * [0.01, 1]
    one, other = (f[0] @ fit_ranking_head(f, truth, 0.01) for f in (features, small))
    np.testing.assert_allclose(one, other, atol=1e-2)


def test_a_factor_makes_scores_into_probabilities():
    generator = np.random.default_rng(2)
    logits = generator.normal(0, 2, (4000, 4))
    truth = np.array([generator.choice(4, p=np.exp(row) / np.exp(row).sum()) for row in logits])
    assert fit_factor(logits / 7, truth) == pytest.approx(7, rel=0.2)
