"""Outputs come back in the order of the cells, whatever the batches were."""

import numpy as np
import pytest
import torch

from sc_mamba2.training import run_over_cells

CPU = torch.device("cpu")


@pytest.fixture
def outputs(make_model, vocabulary):
    model = make_model(0).eval()
    return lambda tokens, batch_size: run_over_cells(
        model.predict, tokens, vocabulary, batch_size, CPU
    )


@pytest.mark.parametrize("batch_size", [1, 3, 24, 100])
def test_the_batch_size_changes_nothing(outputs, validation, batch_size):
    got, expected = outputs(validation, batch_size), outputs(validation, 8)
    assert got["logits"].shape == (24, 2) and got["logits"].dtype == np.float32
    np.testing.assert_allclose(got["logits"], expected["logits"], atol=1e-5)


def test_outputs_stand_where_their_cells_stand(outputs, validation):
    assert outputs(validation, 5)["first_cell"].tolist() == list(range(24))


def test_permuted_cells_permute_outputs(outputs, validation):
    order = np.random.default_rng(0).permutation(24)
    np.testing.assert_allclose(
        outputs(validation.take(order), 5)["logits"],
        outputs(validation, 5)["logits"][order],
        atol=1e-5,
    )


def test_no_gradient_is_kept(make_model, validation, vocabulary):
    model, asked = make_model(0), []

    def predict(batch):
        outputs = model.predict(batch)
        asked.append(outputs["logits"].requires_grad)
        return outputs

    run_over_cells(predict, validation, vocabulary, 8, CPU)
    assert asked == [False] * 3
