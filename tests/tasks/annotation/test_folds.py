"""Left-out folds: nobody is predicted by a model that has seen them, and what cannot be predicted is dropped."""

import numpy as np
import pytest
from scipy import sparse

from sc_mamba2.tasks.annotation import folds
from sc_mamba2.tasks.annotation.experts import ExpertPredictions, Readings
from sc_mamba2.tasks.annotation.params import ConsensusParams

METHODS = ("logistic_regression", "rank_prototypes")


@pytest.fixture
def seen(monkeypatch):
    """Replace the experts by ones that note whom they were fitted to and asked about."""
    calls = []

    def predict(reference, classes_R, n_classes, query, params, seed):
        fitted, asked = (side.amounts_NG.toarray().ravel() for side in (reference, query))
        calls.append((set(fitted), set(asked)))
        predicted_NK = np.eye(n_classes)[np.zeros(len(asked), dtype=int)]
        return ExpertPredictions(dict.fromkeys(METHODS, predicted_NK), asked, 0.5)

    monkeypatch.setattr(folds, "predict_with_experts", predict)
    return calls


def cells(count):
    return Readings(sparse.csr_matrix(np.arange(1.0, count + 1)[:, None]), counted=True)


@pytest.mark.parametrize("batches", [None, np.arange(12) % 4])
def test_every_cell_is_predicted_once_by_the_others(seen, batches):
    classes_M = np.arange(12) % 2
    found = folds.predict_folds(cells(12), classes_M, 2, METHODS, ConsensusParams(), 0, batches)
    assert len(seen) == 3 and all(not fitted & asked for fitted, asked in seen)
    assert sorted(one for _, asked in seen for one in asked) == list(range(1, 13))
    assert found.predicted_EMK.shape == (2, 12, 2)
    np.testing.assert_array_equal(found.classes_M, classes_M)
    np.testing.assert_array_equal(found.distance_M, np.arange(1, 13))


def test_a_class_of_one_batch_alone_is_dropped(seen):
    classes_M = np.array([0, 0, 0, 0, 1, 1])
    batches_M = np.array([0, 0, 1, 1, 1, 1])
    found = folds.predict_folds(cells(6), classes_M, 2, METHODS, ConsensusParams(), 0, batches_M)
    np.testing.assert_array_equal(found.classes_M, [0, 0, 0, 0])
    np.testing.assert_array_equal(found.distance_M, [1, 2, 3, 4])


@pytest.mark.parametrize(("count", "batches"), [(1, None), (5, np.zeros(5))])
def test_without_two_folds_there_is_nothing(seen, count, batches):
    inputs = cells(count), np.zeros(count, dtype=int), 1, METHODS, ConsensusParams(), 0
    assert folds.predict_folds(*inputs, batches) is None and not seen
