"""Simulated queries share no noise with what the candidates are estimated from, and repeat with the seed."""

import numpy as np
import pytest
from scipy import sparse
from tests.tasks.perturbation.test_effect_prior import GENES, effects_of

from sc_mamba2.tasks.perturbation.effect_prior import EffectPrior
from sc_mamba2.tasks.perturbation.reverse.candidates import Candidates
from sc_mamba2.tasks.perturbation.reverse.params import RankParams
from sc_mamba2.tasks.perturbation.reverse.rank import _best, _reciprocal_rank, make_ranker
from sc_mamba2.tasks.perturbation.reverse.simulated_queries import SimulatedQueries

NAMES = ["A", "B", "C", "D", "E", "F"]


def candidates_of(noise: float, names: list[str] = NAMES) -> Candidates:
    """Perturbations of one context, each effect of unit variance a gene."""
    prior = EffectPrior(effects_of([(name, "x") for name in NAMES], ("x",), noise), {})
    return Candidates(names, [[] for _ in names], prior, "new", (0.0, 2.0))


def queries_of(candidates: Candidates, params: RankParams, seed: int = 0) -> SimulatedQueries:
    cells = np.random.default_rng(1).uniform(0.5, 2, (20, GENES))
    error = np.full(GENES, 0.01)
    generator = np.random.default_rng(seed)
    return SimulatedQueries(
        candidates, cells[:10], cells[10:], np.full(GENES, 9.0), error, params, generator
    )


def test_what_is_estimated_and_what_is_true_are_measured_apart():
    candidates = candidates_of(noise=0.2)
    errors = candidates.prior.effects.error_QG[:, 0]
    trust = candidates.prior.reliability_Q
    queries = queries_of(candidates, RankParams())
    away = np.array([np.subtract(*queries.draw_effects()) for _ in range(150)])
    # The error of a new measurement alone: had both the same noise, they would be nearer.
    np.testing.assert_allclose(away.var(axis=(0, 2)), errors, rtol=0.15)
    true = np.array([queries.draw_effects()[1] for _ in range(150)])
    np.testing.assert_allclose(true.var(axis=0).mean(axis=1), trust * errors, rtol=0.25, atol=0.01)


def test_an_unmeasured_pair_does_what_its_parts_do_and_an_unmeasured_one_something_of_its_own():
    queries = queries_of(candidates_of(0.01, ["A", "A+B", "B", "Z"]), RankParams())
    estimated, true = queries.draw_effects()
    np.testing.assert_allclose(true[1], true[0] + true[2])
    assert queries.unmeasured == ["Z"] and (queries.unexplained_G > 0).all()
    assert np.abs(estimated[3] - true[3]).mean() > 3 * np.abs(estimated[0] - true[0]).mean()


def test_queries_that_noise_drowns_are_found_by_chance():
    params = RankParams(queries=160, worlds=4, searched=5)
    drowned, clear = candidates_of(noise=40.0), candidates_of(noise=0.001)
    source = sparse.csr_matrix(np.random.default_rng(2).uniform(0.5, 2, (30, GENES)))
    error = np.full(GENES, 0.01)
    found = {
        name: make_ranker(candidates, source, error, params, 0)
        for name, candidates in {"drowned": drowned, "clear": clear}.items()
    }
    chance = np.mean(1 / np.arange(1, 7))
    # What was measured is noise alone: a ranker that is asked for that noise would find it.
    assert found["drowned"].simulated["cosine"] < chance + 0.15
    assert found["clear"].simulated["cosine"] > 0.95
    assert found["clear"].checked["right"].mean() > 0.9
    assert found["clear"].method != "retrieval"


def test_retrieval_wins_only_on_the_queries_that_it_answered():
    truth = np.array([0, 0, 1, 1])
    right = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    late = np.array([[1.0, 0], [1, 0], [1, 0], [1, 0]])  # right where retrieval answered
    scored = {"head": late, "distance": late, "cosine": late, "retrieval": right[:2]}
    simulated = {name: _reciprocal_rank(own, truth) for name, own in scored.items()}
    assert simulated["retrieval"] > simulated["head"] and _best(scored, simulated, truth) == "head"
    scored["retrieval"] = right
    assert _best(scored, {**simulated, "retrieval": 1.0}, truth) == "retrieval"


def test_a_ranker_repeats_with_its_seed_and_obeys_the_method_chosen():
    candidates = candidates_of(noise=0.1)
    source = sparse.csr_matrix(np.random.default_rng(2).uniform(0.5, 2, (9, GENES)))
    params = RankParams(queries=12, worlds=2, searched=6, method="retrieval")
    one, again, other = (
        make_ranker(candidates, source, np.full(GENES, 0.01), params, seed) for seed in (0, 0, 1)
    )
    assert one.simulated == again.simulated != other.simulated
    assert one.method == "retrieval" and len(one.checked) == 6
    assert one.simulated["retrieval"] == pytest.approx(again.simulated["retrieval"])
