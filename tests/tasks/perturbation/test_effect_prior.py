"""The estimate against its formula written out, and what it contains."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.genes.pathways import pathway_features
from sc_mamba2.tasks.perturbation.effect_prior import EffectPrior
from sc_mamba2.tasks.perturbation.effects import Effects
from sc_mamba2.tasks.perturbation.features import gene_ids
from sc_mamba2.tasks.perturbation.params import KeyParams, StartParams
from sc_mamba2.tasks.perturbation.prior_fit import (
    ensemble_estimates,
    fit_effect_prior,
    left_out_estimates,
)
from sc_mamba2.tasks.perturbation.prior_names import known_prior

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


def test_an_unseen_perturbation_is_the_mixture_of_the_weighings():
    effects = effects_of([("A", "x"), ("B", "x"), ("C", "x")])
    shares = {"shrunken_mean": 0.25, "pathways": 0.25, "features": 0.5, "both": 0.0}
    prior = EffectPrior(effects, SINGLES, shares=shares)
    weights = np.exp([SINGLES["D"] @ SINGLES[name] / 0.4 for name in "ABC"])
    # These names are no genes: by pathways all weigh alike.
    weights = 0.5 * weights / weights.sum() + 0.5 / 3
    expected = (weights * effects.reliability_Q) @ effects.delta_QG
    found = prior.estimate("D", "x", effects.control_of("x"))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_genes_are_alike_by_their_pathways():
    targets = gene_ids(["IFNGR1", "JAK2", "CUL3", "IFNGR2"])
    effects = effects_of([("IFNGR1", "x"), ("JAK2", "x"), ("CUL3", "x")])
    shares = {"shrunken_mean": 0.0, "pathways": 1.0, "features": 0.0, "both": 0.0}
    prior = EffectPrior(effects, {}, targets=targets, shares=shares)
    sets = pathway_features(
        [[targets["IFNGR2"]], *([targets[n]] for n in ("IFNGR1", "JAK2", "CUL3"))]
    )
    logits = [
        sets[0] @ other / np.sqrt((sets[0] @ sets[0] + 0.1) * (other @ other + 0.1)) / 0.1
        for other in sets[1:]
    ]
    weights = np.exp(logits) / np.exp(logits).sum()
    assert weights[0] > 0.9 and logits[2] == 0
    expected = (weights * effects.reliability_Q) @ effects.delta_QG
    np.testing.assert_allclose(prior.estimate("IFNGR2", "x", effects.control_of("x")), expected)
    partners = prior.partners("IFNGR2")
    assert partners["by"] == ["pathways"] and next(iter(partners["nearest"])) == "IFNGR1"


def test_what_is_like_no_other_gets_the_shrunken_mean():
    targets = gene_ids(["IFNGR1", "JAK2", "MARCHF8"])  # the last is in no pathway
    singles = {"IFNGR1": unit(1, 0), "JAK2": unit(0, 1), "MARCHF8": unit(0.4, -1)}
    effects = effects_of([("IFNGR1", "x"), ("JAK2", "x")])
    prior = EffectPrior(effects, singles, targets=targets)
    expected = (effects.reliability_Q[:, None] * effects.delta_QG).mean(axis=0)
    found = prior.estimate("MARCHF8", "x", effects.control_of("x"))
    np.testing.assert_allclose(found, expected)
    assert prior.partners("MARCHF8") == {"by": [], "nearest": {}}


def test_without_a_feature_it_is_the_mean_of_the_shrunken_effects():
    effects = effects_of([("A", "x"), ("B", "x"), ("C", "x")])
    found = EffectPrior(effects, {}).estimate("D", "x", effects.control_of("x"))
    expected = (effects.reliability_Q[:, None] * effects.delta_QG).mean(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_another_context_is_estimated_from_those_like_it_and_from_all():
    effects = effects_of([("A", "x"), ("A", "y"), ("B", "z")])
    prior = EffectPrior(effects, SINGLES, context_shares=(0.2, 0.5, 0.3))
    likeness = cosines(effects, "z")
    ways = [np.array([20.0, 21.0])]
    for temperature in (0.2, 0.4):
        ways.append(
            np.array(
                [np.exp(likeness[name] / temperature) * (20 + at) for at, name in enumerate("xy")]
            )
        )
    weights = sum(share * way / way.sum() for share, way in zip((0.2, 0.5, 0.3), ways, strict=True))
    found = prior.estimate("A", "z", effects.control_of("z"))
    np.testing.assert_allclose(found, weights @ effects.delta_QG[:2], rtol=1e-10)


def test_likeness_of_contexts_earns_its_share():
    """Two pairs of like contexts with like effects: likeness gains; with effects at random, the mean."""
    generator = np.random.default_rng(5)
    effects = effects_of([("A", name) for name in "wxyz"], "wxyz", noise=1e-4)
    for first in (0, 2):
        effects.control_CG[first + 1] = effects.control_CG[first] + 0.01
        effects.delta_QG[first + 1] = effects.delta_QG[first] + generator.normal(0, 0.05, GENES)
    shares = fit_effect_prior(effects, {}, StartParams()).context_shares
    assert sum(shares) == pytest.approx(1) and shares[0] < 0.5
    effects.delta_QG[[1, 2]] = effects.delta_QG[[2, 1]]
    assert fit_effect_prior(effects, {}, StartParams()).context_shares[0] > 0.95


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
    grid = np.exp(-0.7)  # one of the fold changes that are tried
    for place in range(3):
        level = control[place]
        effects.delta_QG[place, place] = np.log1p(grid * np.expm1(level)) - level
    prior = EffectPrior(effects, {}, own)
    fold, targets = prior.own_gene_fold_change(np.ones(3, bool))
    assert fold == pytest.approx(grid) and targets == 3
    found = prior.estimate("D", "x", control)
    # Three targets count three quarters; the rest is what A, B and C do to the gene of D.
    others = effects.delta_QG[:, 3].mean()
    change = np.log1p(grid * np.expm1(control[3])) - control[3]
    assert found[3] == pytest.approx(0.75 * change + 0.25 * others, rel=1e-4)
    # The own gene of A is estimated from B and C alone.
    assert found[0] == pytest.approx(effects.delta_QG[1:, 0].mean(), rel=1e-4)


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


def test_a_weighing_that_predicts_what_is_left_out_earns_its_share():
    """Three pairs of like perturbations: features that know them gain, and such that do not lose."""
    generator = np.random.default_rng(3)
    effects = effects_of([(name, "x") for name in "ABCDEF"], noise=1e-4)
    for first in (0, 2, 4):
        effects.delta_QG[first + 1] = effects.delta_QG[first] + generator.normal(0, 0.05, GENES)
    places = dict(zip("ABCDEF", np.repeat(np.eye(3), 2, axis=0), strict=True))
    fitted = fit_effect_prior(effects, places, StartParams())
    assert fitted.shares["features"] > 0.9 and fitted.shares["pathways"] == 0
    other = dict(zip("ACEBDF", places.values(), strict=True))
    shares = fit_effect_prior(effects, other, StartParams()).shares
    assert shares["shrunken_mean"] > shares["features"]
    assert sum(shares.values()) == pytest.approx(1)


def test_what_nothing_is_known_of_is_refused():
    effects = effects_of([("A", "x"), ("B", "x")])
    prior = EffectPrior(effects, {})
    keys = KeyParams(kind="chemical")
    assert known_prior(prior, keys, "A") is prior
    with pytest.raises(UserError, match=r"perturbation-unknown.*no row of features"):
        known_prior(prior, keys, "E")
    with pytest.raises(UserError, match="not a gene of the gene embedding"):
        known_prior(prior, KeyParams(), "A+nonsense")
    assert "STAT1" in known_prior(prior, KeyParams(), "STAT1").singles
    # A gene without any description has a target, and so the shrunken mean of the others.
    aware = EffectPrior(effects, {}, targets=gene_ids(["A"]) | {"A": ""})
    assert known_prior(aware, KeyParams(features=None), "STAT1").targets["STAT1"]


def test_another_dose_is_estimated_from_the_doses_near_it():
    effects = effects_of([("A@1", "x"), ("A@100", "x"), ("B@1", "x")], noise=1e-9)
    prior = EffectPrior(effects, {})
    control = effects.control_of("x")
    cells = effects.rows["cells"].to_numpy()[:2]
    for dose, distances in ((10, (1, 1)), (2, (np.log10(2), np.log10(50)))):
        weights = np.exp(-np.array(distances) / 0.5) * cells
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
