import numpy as np
import pytest
from scipy.stats import pearsonr

from sc_mamba2.metrics.prediction import feature_scores, pearson_of_features


def test_correlations_are_those_of_scipy():
    generator = np.random.default_rng(0)
    actual = generator.normal(size=(30, 5))
    told = actual * 0.5 + generator.normal(size=(30, 5))
    expected = [pearsonr(told[:, p], actual[:, p]).statistic for p in range(5)]
    np.testing.assert_allclose(pearson_of_features(told, actual), expected, rtol=1e-10)
    scores = feature_scores(told, actual)
    assert scores["pearson"] == pytest.approx(np.mean(expected))
    assert scores["rmse"] == pytest.approx(np.mean(np.sqrt(((told - actual) ** 2).mean(axis=0))))


def test_a_constant_tells_nothing_and_what_does_not_vary_is_left_out():
    actual = np.column_stack([np.arange(6.0), np.arange(6.0), np.full(6, 2.0)])
    told = np.column_stack([np.arange(6.0), np.full(6, 3.3), np.arange(6.0)])
    found = pearson_of_features(told, actual)
    assert found[0] == pytest.approx(1) and found[1] == 0 and np.isnan(found[2])
    assert feature_scores(told, actual)["pearson"] == pytest.approx(0.5)
