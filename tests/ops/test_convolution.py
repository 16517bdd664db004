"""The convolution as multiply-adds against torch's conv1d, its twin."""

import pytest
import torch
from torch.nn import functional

from sc_mamba2.ops import causal_convolution


def twin(x_BLC, weight_C1K, bias_C):
    padded = functional.pad(x_BLC.mT, (weight_C1K.shape[-1] - 1, 0))
    return functional.silu(functional.conv1d(padded, weight_C1K, bias_C, groups=len(bias_C))).mT


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 33])
@pytest.mark.parametrize("taps", [1, 2, 4])
def test_it_equals_torch(length, taps):
    inputs = [
        torch.randn(2, length, 6, dtype=torch.float64, requires_grad=True),
        torch.randn(6, 1, taps, dtype=torch.float64, requires_grad=True),
        torch.randn(6, dtype=torch.float64, requires_grad=True),
    ]
    pull = torch.randn(2, length, 6, dtype=torch.float64)
    ours, theirs = causal_convolution(*inputs), twin(*inputs)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    gradients = [torch.autograd.grad((y * pull).sum(), inputs) for y in (ours, theirs)]
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_it_looks_back_only():
    x = torch.randn(1, 9, 3)
    weight, bias = torch.randn(3, 1, 4), torch.randn(3)
    changed = x.clone()
    changed[:, 5] += 1
    moved = (causal_convolution(x, weight, bias) != causal_convolution(changed, weight, bias)).any(
        -1
    )
    assert moved[0].tolist() == [False] * 5 + [True] * 4
