"""Sets of classes: the promise over many draws, and the ends."""

import numpy as np
import pytest

from sc_mamba2.methods.conformal import class_sets, set_threshold


def draw(cells, generator, classes=4):
    """Draw cells whose probabilities are right."""
    probability = generator.dirichlet(np.full(classes, 0.4), cells)
    return probability, np.array([generator.choice(classes, p=row) for row in probability])


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_sets_hold_the_truth_as_often_as_they_promise(coverage):
    generator = np.random.default_rng(0)
    held = []
    for _ in range(60):
        threshold = set_threshold(*draw(100, generator), coverage)
        probability, truth = draw(200, generator)
        held.append(class_sets(probability, threshold)[np.arange(200), truth].mean())
    assert coverage - 0.01 < np.mean(held) < coverage + 0.03


def test_too_few_cells_promise_with_every_class():
    probability = np.array([[0.9, 0.1]])
    assert set_threshold(probability, np.array([0]), 0.9) == 0
    assert class_sets(probability, 0.0).all()


def test_a_set_is_never_empty():
    assert class_sets(np.full((2, 4), 0.25), 0.9).sum(axis=1).tolist() == [1, 1]
