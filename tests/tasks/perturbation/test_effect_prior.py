"""The estimate against its formula written out, and what it contains."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.methods.mean_changes import reliability
from sc_mamba2.tasks.perturbation.effect_prior import (
    EffectPrior,
    ensemble_estimates,
    fit_effect_prior,
    known_prior,
    left_out_estimates,
)
from sc_mamba2.tasks.perturbation.effects import Effects
from sc_mamba2.tasks.perturbation.params import KeyParams, StartParams

GENES = 12


def effects_of(
    rows: list[tuple[str, str]], contexts=("x", "y", "z"), noise: float = 0.01
) -> Effects:
    generator = np.random.default_rng(0)
    shape = (len(rows), GENES)
    table = pd.DataFrame(
        [(*row, 20 + place) for place, row in enumerate(rows)],
        columns=["perturbation", "context", "cells"],
    )
    control = generator.uniform(0.5, 2, (len(contexts), GENES))
    return Effects(
        table,
        generator.normal(0, 1, shape),
        np.full(shape, noise) * (1 + np.arange(len(rows)))[:, None],
        np.ones(shape),
        tuple(contexts),
        control,
        np.ones_like(control),
        tuple(f"ENSG{place:011d}" for place in range(GENES)),
    )


def unit(*values: float) -> np.ndarray:
    return np.array(values) / np.linalg.norm(values)


SINGLES = {"A": unit(1, 0), "B": unit(1, 1), "C": unit(0, 1), "D": unit(2, 1)}


def cosines(effects: Effects, context: str) -> dict[str, float]:
    centred = effects.control_CG - effects.control_CG.mean(axis=0)
    directions = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    own = directions[effects.contexts.index(context)]
    return {name: own @ directions[at] for at, name in enumerate(effects.contexts)}


def test_an_unseen_perturbation_is_the_weighed_sum_of_the_others():
    effects = effects_of([("A", "x"), ("B", "x"), ("C", "x")])
    prior = EffectPrior(effects, SINGLES, {}, 0.3, 0.5)
    weights = np.exp([SINGLES["D"] @ SINGLES[name] / 0.3 for name in "ABC"])
    weights /= weights.sum()
    expected = sum(
        weight * trust * delta
        for weight, trust, delta in zip(
            weights, effects.reliability_Q, effects.delta_QG, strict=True
        )
    )
    found = prior.estimate("D", "x", effects.control_of("x"))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_without_a_feature_it_is_the_mean_of_the_shrunken_effects():
    effects = effects_of([("A", "x"), ("B", "x"), ("C", "x")])
    found = EffectPrior(effects, {}).estimate("D", "x", effects.control_of("x"))
    expected = (effects.reliability_Q[:, None] * effects.delta_QG).mean(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_another_context_is_estimated_from_those_like_it():
    effects = effects_of([("A", "x"), ("A", "y"), ("B", "z")])
    prior = EffectPrior(effects, SINGLES, {}, 0.3, 0.5)
    likeness = cosines(effects, "z")
    weights = np.array(
        [np.exp(likeness[name] / 0.5) / effects.error_QG[at].sum() for at, name in enumerate("xy")]
    )
    expected = weights @ effects.delta_QG[:2] / weights.sum()
    found = prior.estimate("A", "z", effects.control_of("z"))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_what_was_measured_answers_for_itself_as_far_as_it_is_sure():
    effects = effects_of([("A", "x"), ("B", "x")], noise=0.3)
    prior = EffectPrior(effects, SINGLES)
    hidden = np.array([True, False])
    without = prior.estimate("A", "x", effects.control_of("x"), hidden)
    weight = effects.reliability_Q[0]
    assert 0 < weight < 1 and prior.measured_weight("A", "x") == weight
    assert prior.measured_weight("A", "y") == 0
    found = prior.estimate("A", "x", effects.control_of("x"))
    np.testing.assert_allclose(found, weight * effects.delta_QG[0] + (1 - weight) * without)


def test_an_unseen_pair_is_the_sum_of_its_parts_and_a_seen_one_is_not():
    effects = effects_of([("A", "x"), ("B", "x"), ("C", "x"), ("A+B", "x")])
    prior = EffectPrior(effects, SINGLES)
    control = effects.control_of("x")
    parts = [prior.estimate(name, "x", control) for name in ("A", "C")]
    np.testing.assert_allclose(prior.estimate("A+C", "x", control), sum(parts))
    parts = [prior.estimate(name, "x", control) for name in ("A", "B")]
    assert not np.allclose(prior.estimate("A+B", "x", control), sum(parts))


def test_a_perturbation_does_to_its_own_gene_what_others_do_to_theirs():
    effects = effects_of([("A", "x"), ("B", "x"), ("C", "x")], noise=1e-6)
    control = effects.control_of("x")
    own = {"A": 0, "B": 1, "C": 2, "D": 3}
    for place in range(3):
        effects.delta_QG[place, place] = -0.6 * control[place]
    prior = EffectPrior(effects, SINGLES, own)
    assert prior.own_ratio(np.ones(3, bool)) == pytest.approx(-0.6)
    found = prior.estimate("D", "x", control)
    assert found[3] == pytest.approx(-0.6 * control[3])
    # The own gene of A is estimated from B and C alone.
    trust = [
        reliability(np.delete(d, at)[None], np.delete(e, at)[None])[0]
        for at, (d, e) in enumerate(zip(effects.delta_QG, effects.error_QG, strict=True))
    ]
    weights = np.exp([SINGLES["D"] @ SINGLES[name] / 0.2 for name in "BC"])
    expected = sum(
        w * r * effects.delta_QG[at, 0] for w, r, at in zip(weights, trust[1:], (1, 2), strict=True)
    )
    assert found[0] == pytest.approx(expected / weights.sum(), rel=1e-9)


def test_what_is_hidden_is_not_used():
    effects = effects_of([("A", "x"), ("B", "x"), ("A", "y"), ("B", "y")])
    prior = EffectPrior(effects, SINGLES)
    for kind, kept in (("unseen_perturbation", 1), ("unseen_context", 2), ("random_cells", None)):
        before = left_out_estimates(prior, kind)
        changed = effects.delta_QG.copy()
        changed[0] += 7
        after = left_out_estimates(replace(prior, effects=replace(effects, delta_QG=changed)), kind)
        assert np.allclose(before[0], after[0])
        if kept is not None:
            assert not np.allclose(before[kept], after[kept])


def test_temperatures_are_those_of_the_smallest_left_out_loss():
    """Two pairs of like perturbations: the sharpest weights are right; at random features, not."""
    generator = np.random.default_rng(3)
    effects = effects_of([(name, "x") for name in "ABCDEF"], noise=1e-4)
    for first in (0, 2, 4):
        effects.delta_QG[first + 1] = effects.delta_QG[first] + generator.normal(0, 0.05, GENES)
    angles = dict(zip("ABCDEF", [0, 0.1, 1, 1.1, 2, 2.1], strict=True))
    like = {name: np.array([np.cos(a), np.sin(a)]) for name, a in angles.items()}
    assert fit_effect_prior(effects, like, StartParams()).perturbation_temperature == 0.05
    other = dict(zip("ACEBDF", like.values(), strict=True))
    assert fit_effect_prior(effects, other, StartParams()).perturbation_temperature == 0.4


def test_what_nothing_is_known_of_is_refused():
    effects = effects_of([("A", "x"), ("B", "x")])
    prior = EffectPrior(effects, {})
    keys = KeyParams(kind="chemical")
    assert known_prior(prior, keys, "A") is prior
    with pytest.raises(UserError, match=r"perturbation-unknown.*no row of features"):
        known_prior(prior, keys, "E")
    with pytest.raises(UserError, match="no gene that the checkpoint"):
        known_prior(prior, KeyParams(), "A+nonsense")
    assert "STAT1" in known_prior(prior, KeyParams(), "STAT1").singles


def test_another_dose_is_estimated_from_the_doses_near_it():
    effects = effects_of([("A@1", "x"), ("A@100", "x"), ("B@1", "x")], noise=1e-9)
    prior = EffectPrior(effects, {})
    control = effects.control_of("x")
    precision = 1 / effects.error_QG[:2].sum(axis=1)
    for dose, distances in ((10, (1, 1)), (2, (np.log10(2), np.log10(50)))):
        weights = np.exp(-np.array(distances) / 0.5) * precision
        expected = weights @ effects.delta_QG[:2] / weights.sum()
        np.testing.assert_allclose(prior.estimate(f"A@{dose}", "x", control), expected)
    np.testing.assert_allclose(prior.estimate("A@1", "x", control), effects.delta_QG[0], atol=1e-6)
    keys = KeyParams(kind="chemical")
    assert known_prior(prior, keys, "A@50") is prior  # the compound was seen
    with pytest.raises(UserError, match="perturbation-unknown"):
        known_prior(prior, keys, "C@1")
    table = KeyParams(kind="chemical", feature_file="read before")
    described = known_prior(EffectPrior(effects, SINGLES), table, "D@5")
    np.testing.assert_array_equal(described.singles["D@5"], SINGLES["D"])


def test_resamples_spread_more_where_less_was_measured(parts):
    control = parts.prior.effects.control_of("first")
    seen = parts.prior.effects.rows["perturbation"][0]
    spread = {
        name: ensemble_estimates(parts.prior, name, "first", control, 10, 0).std(axis=0).mean()
        for name in (seen, parts.requested)
    }
    assert min(spread.values()) > 0
    again = ensemble_estimates(parts.prior, seen, "first", control, 10, 0).std(axis=0).mean()
    assert again == spread[seen]
