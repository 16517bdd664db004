"""Blocks of rows change neither outputs nor gradients."""

import pytest
import torch

from sc_mamba2.ops import in_row_blocks


def function(x, lengths, weights):
    return torch.tanh(x @ weights[0]) * lengths[:, None, None] + weights[1]


@pytest.mark.parametrize("tokens", [1, 6, 7, 1000])
def test_blocks_equal_the_whole(tokens):
    x = torch.randn(5, 3, 4, dtype=torch.float64, requires_grad=True)
    lengths = torch.arange(5)
    weights = [
        torch.randn(4, 2, dtype=torch.float64, requires_grad=True),
        torch.randn(2, dtype=torch.float64, requires_grad=True),
    ]
    found = in_row_blocks(function, x, lengths, weights, tokens)
    expected = function(x, lengths, weights)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)
    pull = torch.randn_like(expected)
    ours = torch.autograd.grad((found * pull).sum(), [x, *weights])
    theirs = torch.autograd.grad((expected * pull).sum(), [x, *weights])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    "trained", [(True, False, False), (False, True, False), (False, False, True)]
)
def test_only_what_is_trained_gets_a_gradient(trained):
    tensors = [torch.randn(2, 3, 4), torch.randn(4, 2), torch.randn(2)]
    for tensor, wanted in zip(tensors, trained, strict=True):
        tensor.requires_grad_(wanted)
    in_row_blocks(function, tensors[0], torch.arange(2), tensors[1:], 3).sum().backward()
    assert tuple(tensor.grad is not None for tensor in tensors) == trained
