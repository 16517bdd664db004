import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from sc_mamba2.tasks.perturbation.effects import measure_effects


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
