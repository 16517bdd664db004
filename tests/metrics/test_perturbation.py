"""Scores of perturbations against plain loops, libraries, and cell-eval where it is installed."""

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, strategies as st
from scipy import stats

from sc_mamba2.metrics import perturbation as metrics


def effects(units: int = 5, genes: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(units, genes)), generator.normal(size=(units, genes))


def test_pearson_delta_is_that_of_scipy():
    predicted, real = effects()
    for left, right in zip(predicted, real, strict=True):
        expected = stats.pearsonr(left, right).statistic
        assert metrics.pearson_delta(left, right) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("flat", [np.zeros(30), np.full(30, 0.3), np.full(30, -1e6)])
def test_no_change_and_one_change_for_all_genes_predict_nothing(flat):
    assert metrics.pearson_delta(flat, effects()[1][0]) == 0.0


def test_the_statistic_is_welchs_t_of_scipy():
    generator = np.random.default_rng(1)
    perturbed, control = generator.normal(0.4, 1, (17, 6)), generator.normal(0, 2, (40, 6))
    delta = perturbed.mean(axis=0) - control.mean(axis=0)
    error = perturbed.var(axis=0, ddof=1) / 17 + control.var(axis=0, ddof=1) / 40
    expected = stats.ttest_ind(perturbed, control, equal_var=False).statistic
    np.testing.assert_allclose(metrics.de_statistic(delta, error), expected, rtol=1e-12)
    assert metrics.de_statistic(np.zeros(1), np.zeros(1)) == 0


def plain_discrimination(predicted: np.ndarray, real: np.ndarray) -> list[float]:
    scores = []
    for own, told in enumerate(predicted):
        distances = [sum(abs(a - b) for a, b in zip(told, other, strict=True)) for other in real]
        nearer = sum(d < distances[own] - 1e-12 for d in distances)
        ties = sum(abs(d - distances[own]) <= 1e-12 for d in distances) - 1
        scores.append(1 - (nearer + ties / 2) / (len(real) - 1))
    return scores


@given(st.integers(2, 7), st.integers(1, 9), st.integers(0, 50))
def test_discrimination_is_that_of_plain_loops(units, genes, seed):
    predicted, real = effects(units, genes, seed)
    predicted[0] = real[-1]
    found = metrics.discrimination_scores(predicted, real)
    np.testing.assert_allclose(found, plain_discrimination(predicted, real), atol=1e-12)


def test_discrimination_knows_the_right_the_wrong_and_the_indifferent():
    _, real = effects()
    for metric in ("cityblock", "cosine"):
        assert metrics.discrimination_scores(real, real, metric).tolist() == [1] * 5
        same = np.repeat(real.mean(axis=0)[None], 5, axis=0)
        assert metrics.discrimination_scores(same, real, metric).mean() == pytest.approx(0.5)
    assert metrics.discrimination_scores(np.zeros((5, 30)), real, "cosine").tolist() == [0.5] * 5
    wrong = real[[1, 0]]
    assert metrics.discrimination_scores(wrong, real[:2]).tolist() == [0, 0]


def test_permuted_predictions_discriminate_by_chance():
    _, real = effects(units=8)
    generator = np.random.default_rng(3)
    found = [
        metrics.discrimination_scores(real[generator.permutation(8)], real).mean()
        for _ in range(300)
    ]
    assert np.mean(found) == pytest.approx(0.5, abs=0.03)


def test_direction_match_counts_signs_of_some_genes():
    predicted, real = np.array([1.0, -1, 0, 5]), np.array([2.0, 3, 1, 7])
    assert metrics.direction_match(predicted, real, np.array([0, 1, 2])) == pytest.approx(1 / 3)
    assert metrics.direction_match(predicted, real, np.array([0, 3])) == 1


def test_top_genes_are_those_of_the_largest_size():
    assert metrics.top_genes(np.array([0.5, -3, 2, 0]), 2).tolist() == [1, 2]
    assert len(metrics.top_genes(np.array([1.0, 2]), 20)) == 2


def test_errors_are_means_over_genes():
    found = metrics.effect_errors(np.array([1.0, 2]), np.array([0.0, 4]))
    assert found == {"mse": 2.5, "mae": 1.5}


def test_the_ceiling_tells_an_effect_from_none():
    generator = np.random.default_rng(5)
    effect = generator.normal(0, 1, 40)
    control = generator.normal(0, 1, (80, 40))
    strong = generator.normal(0, 1, (60, 40)) + effect
    none = generator.normal(0, 1, (60, 40))
    assert metrics.split_half_ceiling([(strong, control)], 0) > 0.9
    assert abs(metrics.split_half_ceiling([(none, control)], 0)) < 0.3
    both = metrics.split_half_ceiling([(strong, control), (strong + 3, control + 3)], 0)
    assert both > 0.9


def test_the_mean_correlation_is_that_of_all_pairs():
    predicted, _ = effects(4)
    pairs = np.corrcoef(predicted)[np.triu_indices(4, 1)]
    assert metrics.mean_pairwise_correlation(predicted) == pytest.approx(pairs.mean())


def test_scores_are_those_of_cell_eval():
    pytest.importorskip("cell_eval", reason="needs the extra `perturbation`: make test-extras")
    from cell_eval import PerturbationAnndataPair
    from cell_eval.metrics import _anndata as theirs

    generator = np.random.default_rng(7)
    names = np.repeat(["control", "A", "B", "C", "D"], 6)
    genes = [*"ABCD", "E", "F"]
    sides = [generator.gamma(1.0, size=(30, 6)).astype(np.float32) for _ in range(2)]
    sides[1][:6] = sides[0][:6]
    real, predicted = (
        AnnData(side, pd.DataFrame({"p": names}).rename(index=str), pd.DataFrame(index=genes))
        for side in sides
    )
    pair = PerturbationAnndataPair(real=real, pred=predicted, pert_col="p", control_pert="control")
    means = [
        np.stack([side[names == name].mean(axis=0) - side[:6].mean(axis=0) for name in "ABCD"])
        for side in sides
    ]
    for place, name in enumerate("ABCD"):
        told, true = means[1][place], means[0][place]
        assert theirs.pearson_delta(pair)[name] == pytest.approx(
            metrics.pearson_delta(told, true), abs=1e-5
        )
        errors = metrics.effect_errors(told, true)
        assert theirs.mse_delta(pair)[name] == pytest.approx(errors["mse"], abs=1e-5)
        assert theirs.mae_delta(pair)[name] == pytest.approx(errors["mae"], abs=1e-5)
    found = theirs.discrimination_score(pair, exclude_target_gene=False)
    ours = metrics.discrimination_scores(means[1], means[0])
    for own, name in zip(ours, "ABCD", strict=True):
        assert 4 * (1 - found[name]) == pytest.approx(3 * (1 - own), abs=1e-6), "ranks from 0"
