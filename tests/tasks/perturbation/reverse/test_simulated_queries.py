"""Simulated queries share no noise with what the candidates are told from, and repeat with the seed."""

import numpy as np
import pytest
from scipy import sparse
from tests.tasks.perturbation.test_effect_prior import GENES, effects_of

from sc_mamba2.tasks.perturbation.effect_prior import Start
from sc_mamba2.tasks.perturbation.reverse.candidates import Offer
from sc_mamba2.tasks.perturbation.reverse.params import RankParams
from sc_mamba2.tasks.perturbation.reverse.rank import _best, _judge, make_ranker
from sc_mamba2.tasks.perturbation.reverse.simulated_queries import Worlds

NAMES = ["A", "B", "C", "D", "E", "F"]


def offer_of(noise: float, names: list[str] = NAMES) -> Offer:
    """Perturbations of one context, each effect of unit variance a gene."""
    start = Start(effects_of([(name, "x") for name in NAMES], ("x",), noise), {})
    return Offer(names, [[] for _ in names], start, "new", (0.0, 2.0))


def worlds_of(offer: Offer, params: RankParams, seed: int = 0) -> Worlds:
    cells = np.random.default_rng(1).uniform(0.5, 2, (20, GENES))
    error = np.full(GENES, 0.01)
    generator = np.random.default_rng(seed)
    return Worlds(offer, cells[:10], cells[10:], np.full(GENES, 9.0), error, params, generator)


def test_what_is_told_and_what_is_true_are_measured_apart():
    offer = offer_of(noise=0.2)
    errors = offer.start.effects.error_QG[:, 0]
    trust = offer.start.reliability_Q
    worlds = worlds_of(offer, RankParams())
    away = np.array([np.subtract(*worlds._world()) for _ in range(150)])
    # The error of a new measurement alone: had both the same noise, they would be nearer.
    np.testing.assert_allclose(away.var(axis=(0, 2)), errors, rtol=0.15)
    true = np.array([worlds._world()[1] for _ in range(150)])
    np.testing.assert_allclose(true.var(axis=0).mean(axis=1), trust * errors, rtol=0.25, atol=0.01)


def test_an_unmeasured_pair_does_what_its_parts_do_and_a_stranger_something_of_its_own():
    worlds = worlds_of(offer_of(0.01, ["A", "A+B", "B", "Z"]), RankParams())
    told, true = worlds._world()
    np.testing.assert_allclose(true[1], true[0] + true[2])
    assert worlds.strange == ["Z"] and (worlds.untold_G > 0).all()
    assert np.abs(told[3] - true[3]).mean() > 3 * np.abs(told[0] - true[0]).mean()


def test_queries_that_noise_drowns_are_found_by_chance():
    params = RankParams(queries=160, worlds=4, searched=5)
    drowned, clear = offer_of(noise=40.0), offer_of(noise=0.001)
    source = sparse.csr_matrix(np.random.default_rng(2).uniform(0.5, 2, (30, GENES)))
    error = np.full(GENES, 0.01)
    found = {
        name: make_ranker(offer, source, error, params, 0)
        for name, offer in {"drowned": drowned, "clear": clear}.items()
    }
    chance = np.mean(1 / np.arange(1, 7))
    # What was measured is noise alone: a ranker that is asked for that noise would find it.
    assert found["drowned"].judged["cosine"] < chance + 0.15
    assert found["clear"].judged["cosine"] > 0.95
    assert found["clear"].checked["right"].mean() > 0.9
    assert found["clear"].method != "retrieval"


def test_retrieval_wins_only_on_the_queries_that_it_answered():
    truth = np.array([0, 0, 1, 1])
    right = np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]])
    late = np.array([[1.0, 0], [1, 0], [1, 0], [1, 0]])  # right where retrieval answered
    scored = {"head": late, "distance": late, "cosine": late, "retrieval": right[:2]}
    judged = {name: _judge(own, truth) for name, own in scored.items()}
    assert judged["retrieval"] > judged["head"] and _best(scored, judged, truth) == "head"
    scored["retrieval"] = right
    assert _best(scored, {**judged, "retrieval": 1.0}, truth) == "retrieval"


def test_a_ranker_repeats_with_its_seed_and_obeys_the_method_asked_for():
    offer = offer_of(noise=0.1)
    source = sparse.csr_matrix(np.random.default_rng(2).uniform(0.5, 2, (9, GENES)))
    params = RankParams(queries=12, worlds=2, searched=6, method="retrieval")
    one, again, other = (
        make_ranker(offer, source, np.full(GENES, 0.01), params, seed) for seed in (0, 0, 1)
    )
    assert one.judged == again.judged != other.judged
    assert one.method == "retrieval" and len(one.checked) == 6
    assert one.judged["retrieval"] == pytest.approx(again.judged["retrieval"])
