import numpy as np
import pytest
from scipy import stats

from sc_mamba2.metrics.perturbation import pearson_delta
from sc_mamba2.tasks.perturbation import evaluate
from sc_mamba2.tasks.perturbation.effects import measure_effects, sides_of
from sc_mamba2.tasks.perturbation.params import ScoreParams

PARAMS = ScoreParams(de_genes=10, ceiling_repeats=2)


@pytest.fixture(scope="module")
def held(parts):
    perturbed, controls = sides_of(parts.test, "control")
    effects = measure_effects(perturbed, controls)
    truth = evaluate.read_truth(effects, perturbed, controls, [3], "unseen_perturbation", PARAMS, 0)
    return effects, truth


def test_the_real_effects_score_perfectly_and_no_change_by_chance(held):
    effects, truth = held
    perfect = evaluate.score_units(effects.delta_QG, truth, PARAMS)
    assert (perfect["pearson_delta"] > 1 - 1e-9).all() and (perfect["mse"] == 0).all()
    assert (perfect["discrimination"] == 1).all() and (perfect["direction_match"] == 1).all()
    none = evaluate.score_units(np.zeros_like(effects.delta_QG), truth, PARAMS)
    assert (none["pearson_delta"] == 0).all()
    assert (none["discrimination_cosine"] == 0.5).all()


def test_a_unit_is_the_mean_of_its_contexts_by_cells(held):
    effects, truth = held
    rows = effects.rows
    for place, name in enumerate(truth.units.index):
        mine = (rows["perturbation"] == name).to_numpy()
        expected = np.average(effects.delta_QG[mine], axis=0, weights=rows["cells"][mine])
        np.testing.assert_allclose(truth.delta_UG[place], expected)
    contexts = evaluate.unit_names(rows, "unseen_context")
    assert len(set(contexts)) == len(rows) and " in first" in contexts[0]


def test_perturbed_genes_do_not_discriminate_between_units(held):
    effects, truth = held
    assert truth.genes_G[3] and not truth.distinctive_G[3]
    predicted = effects.delta_QG.copy()
    predicted[:, 3] += 1000
    scores = evaluate.score_units(predicted, truth, PARAMS)
    assert (scores["discrimination"] == 1).all() and (scores["pearson_delta"] < 0.5).all()


def test_the_mean_is_of_all_units_or_of_those_named(held):
    _, truth = held
    listed = list(truth.units.index)
    assert evaluate.scored_units(truth, ScoreParams(least_ceiling=1.0)) == listed
    assert evaluate.scored_units(truth, ScoreParams(names=(listed[0],))) == listed[:1]


def test_the_margin_is_the_interval_of_a_paired_t_test(held):
    effects, truth = held
    tables = {
        name: evaluate.score_units(effects.delta_QG * size + 0.1, truth, PARAMS)
        for name, size in (("model", 1.0), ("half", 0.5))
    }
    units = list(truth.units.index)
    margin = evaluate.margins(tables, units)["mse"]["half"]
    found = stats.ttest_rel(tables["model"]["mse"], tables["half"]["mse"]).confidence_interval(0.95)
    assert margin == pytest.approx((found.high - found.low) / 2)
    assert evaluate.margins(tables, units[:1]) == {}


def test_the_table_of_effects_holds_what_the_scores_are_of(held):
    effects, truth = held
    table = evaluate.held_out_effects(truth, {"model": effects.delta_QG * 2}, effects.genes)
    real, predicted = (
        table[table["method"] == name].iloc[:, 2:].to_numpy() for name in ("real", "model")
    )
    np.testing.assert_allclose(predicted, 2 * real)
    assert pearson_delta(real[0], predicted[0]) == pytest.approx(1)
    assert real.shape == (len(truth.units), truth.genes_G.sum())
