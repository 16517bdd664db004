import numpy as np
import pytest
from tests.tasks.perturbation.test_effect_prior import effects_of

from sc_mamba2.tasks.perturbation.baselines import BASELINES
from sc_mamba2.tasks.perturbation.features import gene_ids
from sc_mamba2.tasks.perturbation.params import ScoreParams

PARAMS = ScoreParams()


def by(method: str, effects, name: str, context: str = "x") -> np.ndarray:
    return BASELINES[method](effects, name, context, PARAMS)


@pytest.fixture
def effects():
    return effects_of([("A", "x"), ("A", "y"), ("B", "x"), ("A+B", "y")])


def test_no_change_is_zero(effects):
    assert not by("no_change", effects, "C").any()


def test_the_training_mean_weighs_perturbations_alike(effects):
    delta = effects.delta_QG
    pooled = (20 * delta[0] + 21 * delta[1]) / 41
    expected = (pooled + delta[2] + delta[3]) / 3
    np.testing.assert_allclose(by("training_mean", effects, "C"), expected)


def test_the_matching_mean_takes_what_matches_best(effects):
    delta = effects.delta_QG
    np.testing.assert_allclose(by("matching_mean", effects, "A", "z"), delta[:2].mean(axis=0))
    pair = by("matching_mean", effects, "A+C", "x")
    np.testing.assert_allclose(pair, delta[:2].mean(axis=0))
    here = by("matching_mean", effects, "C", "y")
    np.testing.assert_allclose(here, delta[[1, 3]].mean(axis=0))
    mean = by("training_mean", effects, "C")
    np.testing.assert_allclose(by("matching_mean", effects, "C", "z"), mean)


def test_additive_is_a_sum(effects):
    parts = [by("additive", effects, name) for name in ("A", "B")]
    np.testing.assert_allclose(by("additive", effects, "A+B"), sum(parts))
    mean = by("training_mean", effects, "C")
    np.testing.assert_allclose(by("additive", effects, "A+C"), parts[0] + mean)


def test_ridge_is_the_bilinear_map_of_its_formula():
    names = ["STAT1", "JAK2", "IRF1", "CUL3"]
    effects = effects_of([(name, "x") for name in names])
    ids = list(gene_ids(names).values())
    genes = [*ids, *effects.genes[4:]]
    object.__setattr__(effects, "genes", tuple(genes))
    predicted = by("ridge", effects, "STAT1")
    y = effects.delta_QG.T
    b = y.mean(axis=1)
    levels = effects.control_CG.T - effects.control_CG.mean()
    left, values, _ = np.linalg.svd(np.hstack([y - b[:, None], levels]), full_matrices=False)
    kept = min(PARAMS.components, (values > 1e-9).sum())
    g = left[:, :kept] * values[:kept]
    p = g[:4]
    penalty = [PARAMS.ridge * np.trace(m.T @ m) / kept * np.eye(kept) for m in (g, p)]
    w = np.linalg.inv(g.T @ g + penalty[0]) @ g.T @ (y - b[:, None]) @ p
    w = w @ np.linalg.inv(p.T @ p + penalty[1])
    np.testing.assert_allclose(predicted, b + g @ w @ p[0], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(by("ridge", effects, "TP53"), b)
