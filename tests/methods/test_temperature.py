"""The temperature that was put in is found again, and few cells do not ask for certainty."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from sc_mamba2.methods.temperature import at_temperature, cross_fitted, fit_temperature
from sc_mamba2.tasks.annotation.fit import fit_calibration


def drawn(temperature: float, cells: int = 4000, classes: int = 5):
    """Logits whose probabilities are right at `temperature`, and classes drawn from these."""
    generator = np.random.default_rng(0)
    logits_NK = generator.normal(size=(cells, classes)) * 2 * temperature
    right_NK = softmax(logits_NK / temperature, axis=1)
    classes_N = (right_NK.cumsum(axis=1) > generator.random((cells, 1))).argmax(axis=1)
    return logits_NK, classes_N


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_a_temperature_is_found_again_and_the_error_falls(temperature):
    logits_NK, classes_N = drawn(temperature)
    found = fit_calibration(softmax(logits_NK, axis=1), classes_N)
    assert found.temperature == pytest.approx(temperature, rel=0.07) and found.cells == 4000
    assert found.error_after < 0.02
    if temperature != 1:
        assert found.error_after < 0.2 * found.error_before


def test_it_is_the_minimum_of_the_loss_on_a_grid():
    logits_NK, classes_N = drawn(2.0, cells=60)
    cells, classes = logits_NK.shape
    target_NK = np.full((cells, classes), 1 / (cells + 2) / (classes - 1))
    target_NK[np.arange(cells), classes_N] = 1 - 1 / (cells + 2)
    grid = np.exp(np.linspace(-2, 2, 4001))
    losses = [-(target_NK * log_softmax(logits_NK / t, axis=1)).sum() for t in grid]
    found = fit_temperature(softmax(logits_NK, axis=1), classes_N)
    assert found == pytest.approx(grid[np.argmin(losses)], rel=2e-3)


def test_a_few_cells_that_are_all_right_do_not_ask_for_certainty():
    probability_NK = np.array([[0.8, 0.2], [0.3, 0.7], [0.75, 0.25]])
    temperature = fit_temperature(probability_NK, np.array([0, 1, 0]))
    assert at_temperature(probability_NK, temperature).max() < 0.95


def test_probabilities_at_another_temperature_are_those_of_the_scaled_logits():
    logits_NK, _ = drawn(1.0, cells=20)
    scaled_NK = at_temperature(softmax(logits_NK, axis=1), 2.5)
    assert np.allclose(scaled_NK, softmax(logits_NK / 2.5, axis=1), rtol=1e-9)


def test_a_probability_of_zero_is_no_trouble():
    probability_NK = np.array([[1, 0], [1, 0], [0, 1]], dtype=np.float32)
    assert 0.05 <= fit_temperature(probability_NK, np.array([0, 1, 1])) <= 20.001


def test_a_temperature_that_harms_other_cells_is_not_applied():
    generator = np.random.default_rng(1)
    harmed = 0
    for _ in range(20):
        logits_NK = generator.normal(size=(12, 4)) * 2
        right_NK = softmax(logits_NK, axis=1)
        classes_N = (right_NK.cumsum(axis=1) > generator.random((12, 1))).argmax(axis=1)
        found = fit_calibration(right_NK, classes_N)
        better = found.loss_after < found.loss_before and found.error_after <= found.error_before
        assert found.applied == better and (found.applied or found.temperature == 1)
        harmed += not found.applied
    assert harmed >= 10  # probabilities that are right need no temperature


def test_one_cell_says_nothing_of_others():
    found = fit_calibration(np.array([[0.9, 0.1]]), np.array([0]))
    assert not found.applied and found.temperature == 1 and found.loss_after == found.loss_before


def test_cross_fitting_gives_no_cell_a_temperature_of_its_own():
    logits_NK, classes_N = drawn(2.0, cells=40)
    probability_NK = softmax(logits_NK, axis=1)
    before = cross_fitted(probability_NK, classes_N)
    other = (classes_N + 1) % 5
    for cell in (0, 7):  # the true class of a cell changes others, not itself
        changed = classes_N.copy()
        changed[cell] = other[cell]
        after = cross_fitted(probability_NK, changed)
        assert np.allclose(after[cell], before[cell]) and not np.allclose(after, before)
