import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from sc_mamba2.tasks.perturbation.effects import measure_effects, moments, reliability


def cells(values: np.ndarray, perturbation: list[str], context: list[str]) -> AnnData:
    obs = pd.DataFrame({"perturbation": perturbation, "context": context})
    return AnnData(sparse.csr_matrix(values.astype(np.float32)), obs=obs.rename(index=str))


@pytest.fixture
def measured():
    generator = np.random.default_rng(0)
    names = ["A"] * 5 + ["B"] * 4 + ["A"] * 3 + ["C"]
    contexts = ["x"] * 9 + ["y"] * 4
    perturbed = cells(generator.poisson(1.0, (13, 6)), names, contexts)
    controls = cells(generator.poisson(1.0, (10, 6)), ["control"] * 10, ["x"] * 6 + ["y"] * 4)
    return perturbed, controls, measure_effects(perturbed, controls)


def test_effects_are_differences_of_means_within_the_context(measured):
    perturbed, controls, effects = measured
    assert effects.rows.values.tolist() == [["A", "x", 5], ["A", "y", 3], ["B", "x", 4]]
    x, c = perturbed.X.toarray().astype(float), controls.X.toarray().astype(float)
    mine, base = x[9:12], c[6:]
    np.testing.assert_allclose(effects.delta_QG[1], mine.mean(0) - base.mean(0))
    error = mine.var(0, ddof=1) / 3 + base.var(0, ddof=1) / 4
    np.testing.assert_allclose(effects.error_QG[1], error)
    np.testing.assert_allclose(effects.spread_QG[1], mine.std(0, ddof=1))
    np.testing.assert_allclose(effects.control_of("y"), base.mean(0))
    np.testing.assert_allclose(effects.control_of("new"), effects.control_CG.mean(axis=0))


def test_a_context_without_controls_is_compared_with_all(measured):
    perturbed, controls, _ = measured
    effects = measure_effects(perturbed, controls[:6])
    x, c = perturbed.X.toarray().astype(float), controls.X.toarray().astype(float)[:6]
    np.testing.assert_allclose(effects.delta_QG[1], x[9:12].mean(0) - c.mean(0))


def test_moments_are_those_of_numpy():
    values = np.random.default_rng(1).poisson(1.0, (7, 4)).astype(np.float32)
    mean, variance = moments(sparse.csr_matrix(values))
    np.testing.assert_allclose(mean, values.astype(float).mean(0))
    np.testing.assert_allclose(variance, values.astype(float).var(0, ddof=1))


def test_reliability_is_near_the_share_that_is_real():
    generator = np.random.default_rng(2)
    truth = generator.normal(0, 1, 4000)
    noise = generator.normal(0, 2, 4000)
    delta, error = (truth + noise)[None], np.full((1, 4000), 4.0)
    assert reliability(delta, error)[0] == pytest.approx(1 / 5, abs=0.05)
    shrunk = reliability(delta, error)[0] * delta[0]
    assert ((shrunk - truth) ** 2).mean() < 0.5 * ((delta[0] - truth) ** 2).mean()
    assert reliability(np.zeros((1, 3)), np.ones((1, 3)))[0] == 0
