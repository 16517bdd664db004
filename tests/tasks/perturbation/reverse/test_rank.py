"""Ranking: comparisons, changes and the baselines against their formulas written out."""

from types import SimpleNamespace

import numpy as np
from tests.tasks.perturbation.test_effect_prior import effects_of

from sc_mamba2.tasks.perturbation.effect_prior import EffectPrior
from sc_mamba2.tasks.perturbation.reverse.candidates import Candidates
from sc_mamba2.tasks.perturbation.reverse.comparisons import (
    compare,
    expression_scores,
    pseudobulk_scores,
)


def test_comparisons_are_their_formulas():
    generator = np.random.default_rng(0)
    change, changes = generator.normal(size=6), generator.normal(size=(3, 6))
    error = generator.uniform(0.1, 1, 6)
    owns = [[1], [0, 2], []]
    candidates = SimpleNamespace(own=owns, own_sign=-1.0)
    found = compare(change, error, changes, candidates, 5.0)
    scale = 1 / np.sqrt(error + np.median(error))
    for row, (candidate, own) in enumerate(zip(changes, owns, strict=True)):
        wanted = change * scale
        cosine = (
            (candidate * scale)
            @ wanted
            / np.linalg.norm(candidate * scale)
            / np.linalg.norm(wanted)
        )
        distance = np.linalg.norm(candidate * scale - wanted) / np.linalg.norm(wanted)
        of_own = np.clip(-np.mean(wanted[own]), -5, 5) if own else 0
        np.testing.assert_allclose(found[row], [cosine, -distance, of_own])


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
    prior = EffectPrior(effects, {})
    control = effects.control_of("x")
    names = ["A", "A+B", "A+C"]
    candidates = Candidates(names, [[], [], []], prior, "x", (0.0, 2.0))
    changes = candidates.changes(prior, control)
    expected = [prior.estimate(name, "x", control) for name in names]
    np.testing.assert_allclose(changes, np.maximum(expected, -control))
