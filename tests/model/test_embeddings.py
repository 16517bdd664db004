"""Embeddings, value encoders, and the batch norm that counts real tokens only."""

import pytest
import torch

from sc_mamba2.model import Backbone, RealTokenBatchNorm, preset
from sc_mamba2.model.embeddings import (
    CategoricalValueEncoder,
    ContinuousValueEncoder,
    GeneBag,
    GeneEncoder,
    input_norm,
)


def test_the_padding_row_is_zero_and_stays_so():
    encoder = GeneEncoder(preset("micro", 6, pad_id=2))
    assert not encoder.embedding.weight[2].any()
    encoder(torch.tensor([[1, 2, 3]])).square().sum().backward()
    touched = encoder.embedding.weight.grad.abs().sum(1) > 0
    assert touched.tolist() == [False, True, False, True, False, False]


def test_continuous_values_are_clamped_and_keep_their_order_of_operations():
    encoder = ContinuousValueEncoder(preset("micro", 6)).double()
    values = torch.tensor([[0.5, 512.0, 9999.0]], dtype=torch.float64)
    encoded = encoder(values)
    assert torch.equal(encoded[0, 1], encoded[0, 2])
    hidden = torch.relu(0.5 * encoder.linear1.weight[:, 0] + encoder.linear1.bias)
    flat = encoder.linear2.weight @ hidden + encoder.linear2.bias
    normed = (flat - flat.mean()) / torch.sqrt(flat.var(unbiased=False) + 1e-5)
    torch.testing.assert_close(encoded[0, 0], normed, rtol=1e-10, atol=1e-10)


def test_categorical_values_take_the_nearest_bin_inside_the_table():
    encoder = CategoricalValueEncoder(preset("micro", 6, n_bins=4))
    encoded = encoder(torch.tensor([[-3.0, 0.0, 2.9, 3.0, 77.0]]))[0]
    assert torch.equal(encoded[0], encoded[1])
    assert torch.equal(encoded[2], encoded[3])
    assert torch.equal(encoded[3], encoded[4])
    assert not torch.equal(encoded[1], encoded[2])


@pytest.mark.parametrize("kind", ["continuous", "categorical", "scaling"])
def test_every_value_encoder_makes_the_output_depend_on_values(kind):
    torch.manual_seed(0)
    backbone = Backbone(preset("micro", 9, value_encoder=kind, input_norm="none"))
    ids, lengths = torch.tensor([[1, 4, 5]]), torch.tensor([3])
    low = backbone(ids, torch.tensor([[0.0, 1.0, 2.0]]), lengths)
    high = backbone(ids, torch.tensor([[0.0, 7.0, 2.0]]), lengths)
    assert low.shape == (1, 3, 64)
    assert (low - high).abs().max() > 1e-3


def test_batch_norm_takes_its_statistics_from_real_tokens_only():
    norm, plain = RealTokenBatchNorm(4), torch.nn.BatchNorm1d(4)
    x = torch.randn(3, 5, 4)
    real = torch.arange(5) < torch.tensor([[5], [2], [1]])
    x[~real] = 1e6
    normed = norm(x, real)
    torch.testing.assert_close(normed[real], plain(x[real]))
    assert not normed[~real].any()
    torch.testing.assert_close(norm.running_mean, plain.running_mean)
    torch.testing.assert_close(norm.running_var, plain.running_var)
    assert norm.num_batches_tracked == 1


def test_batch_norm_uses_the_running_statistics_in_evaluation():
    norm = RealTokenBatchNorm(4).eval()
    norm.running_mean.fill_(2.0)
    norm.running_var.fill_(9.0)
    x = torch.randn(2, 3, 4)
    expected = (x - 2) / torch.sqrt(torch.tensor(9 + 1e-5))
    torch.testing.assert_close(norm(x, torch.ones(2, 3, dtype=torch.bool)), expected)


@pytest.mark.parametrize("tokens", [0, 1])
def test_batch_norm_survives_a_batch_without_statistics(tokens):
    norm = RealTokenBatchNorm(4)
    x = torch.randn(1, 3, 4, requires_grad=True)
    normed = norm(x, torch.arange(3)[None] < tokens)
    normed.sum().backward()
    torch.testing.assert_close(norm.running_mean, torch.zeros(4))
    torch.testing.assert_close(normed[0, :tokens], x[0, :tokens], rtol=1e-4, atol=1e-5)


def test_the_input_norm_has_the_eps_of_the_config():
    assert input_norm(preset("upstream-625m", 9, d_model=64)).eps == 6.1e-5
    assert input_norm(preset("micro", 9, input_norm="none")) is None


def test_a_bag_is_the_sum_of_genes_times_values():
    torch.manual_seed(0)
    bag = GeneBag(preset("micro", 9)).double()
    table = torch.randn(9, 64, dtype=torch.float64)
    ids = torch.tensor([[1, 2, 3, 4, 0], [1, 5, 6, 0, 0]])
    values = torch.tensor([[0.0, 50, 25, -1, 0], [0, 10, 7, 0, 0]])
    found = bag(table, ids, values, torch.tensor([0, 5]))
    slow = torch.stack(
        [table[2] + table[3] * 0.5, table[5] * 0.2 + table[6] * 0.14]
    )  # the hidden value, -1, counts as none
    torch.testing.assert_close(found, bag.linear(bag.norm(slow)), rtol=1e-6, atol=1e-6)
