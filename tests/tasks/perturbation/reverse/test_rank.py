"""Ranking: comparisons, head, retrieval and the baselines against their formulas written out."""

import numpy as np
import pytest
from scipy.special import log_softmax
from tests.tasks.perturbation.test_effect_prior import effects_of

from sc_mamba2.tasks.perturbation.effect_prior import Start
from sc_mamba2.tasks.perturbation.reverse.baselines import expression_scores, pseudobulk_scores
from sc_mamba2.tasks.perturbation.reverse.candidates import told_changes
from sc_mamba2.tasks.perturbation.reverse.features import compare
from sc_mamba2.tasks.perturbation.reverse.head import fit_head, fit_temperature
from sc_mamba2.tasks.perturbation.reverse.retrieval import PredictedCells


def test_comparisons_are_their_formulas():
    generator = np.random.default_rng(0)
    change, told = generator.normal(size=6), generator.normal(size=(3, 6))
    error = generator.uniform(0.1, 1, 6)
    found = compare(change, error, told, [[1], [0, 2], []], -1.0, 5.0)
    scale = 1 / np.sqrt(error + np.median(error))
    for row, (offered, own) in enumerate(zip(told, ([1], [0, 2], []), strict=True)):
        wanted = change * scale
        cosine = (
            (offered * scale) @ wanted / np.linalg.norm(offered * scale) / np.linalg.norm(wanted)
        )
        distance = np.linalg.norm(offered * scale - wanted) / np.linalg.norm(wanted)
        of_own = np.clip(-np.mean(wanted[own]), -5, 5) if own else 0
        np.testing.assert_allclose(found[row], [cosine, -distance, of_own])


def test_the_head_is_at_the_optimum_and_prefers_what_tells():
    generator = np.random.default_rng(1)
    features = generator.normal(size=(80, 5, 2)) * [1, 3]
    truth = features[:, :, 0].argmax(axis=1)
    head = fit_head(features, truth, 0.01)
    spread = np.sqrt(features.var(axis=1).mean(axis=0))
    weight = head.weight_X * spread
    assert weight[0] > 1 and abs(weight[1]) < weight[0] / 5

    def loss(weight: np.ndarray) -> float:
        told = log_softmax(features / spread @ weight, axis=1)[np.arange(80), truth]
        return -told.mean() + 0.005 * weight @ weight

    step = 1e-5
    for axis in np.eye(2):
        slope = (loss(weight + step * axis) - loss(weight - step * axis)) / step / 2
        assert abs(slope) < 1e-3


def test_a_feature_counts_by_what_it_tells_and_not_by_its_unit():
    generator = np.random.default_rng(4)
    features = generator.normal(size=(60, 5, 2))
    truth = features[:, :, 0].argmax(axis=1)
    small = features * [0.01, 1]
    one, other = (fit_head(f, truth, 0.01).scores(f[0]) for f in (features, small))
    np.testing.assert_allclose(one, other, atol=1e-2)


def test_a_temperature_makes_scores_into_probabilities():
    generator = np.random.default_rng(2)
    logits = generator.normal(0, 2, (4000, 4))
    truth = np.array([generator.choice(4, p=np.exp(row) / np.exp(row).sum()) for row in logits])
    assert fit_temperature(logits / 7, truth) == pytest.approx(7, rel=0.2)


def test_retrieval_counts_the_nearest_predicted_cells():
    generator = np.random.default_rng(3)
    cells, owner = generator.normal(size=(30, 8)), np.repeat(np.arange(3), 10)
    target = generator.normal(size=(4, 8))
    found = PredictedCells(cells, owner, 3, components=8, exact=100, seed=0).shares(target, 5)
    centred = cells - cells.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:8]
    votes = np.zeros(3)
    for cell in target:
        away = np.linalg.norm((centred - (cell - cells.mean(axis=0))) @ axes.T, axis=1)
        for near in np.argsort(away)[:5]:
            votes[owner[near]] += 1
    np.testing.assert_allclose(found, votes / 20)


def test_baselines_rank_by_profiles_and_by_own_genes():
    effects = effects_of([("A", "x"), ("B", "x"), ("A+B", "x")])
    delta = effects.delta_QG
    scores = pseudobulk_scores(delta[0], effects, ["A", "B", "A+B", "A+C"])
    expected = [0, -np.linalg.norm(delta[1] - delta[0]), -np.linalg.norm(delta[2] - delta[0])]
    np.testing.assert_allclose(scores[:3], expected, atol=1e-12)
    assert scores[3] == -np.inf
    own = expression_scores(np.array([1.0, -4, 0]), np.array([1.0, 4, 1]), [[0], [0, 1], []])
    np.testing.assert_allclose(own, [1, 1.5, -np.inf])


def test_changes_of_candidates_are_those_of_the_estimate():
    effects = effects_of([("A", "x"), ("B", "x"), ("C", "x"), ("A+B", "x")])
    start = Start(effects, {})
    control = effects.control_of("x")
    names = ["A", "A+B", "A+C"]
    told = told_changes(start, names, "x", control)
    expected = [start.estimate(name, "x", control) for name in names]
    np.testing.assert_allclose(told, np.maximum(expected, -control))
