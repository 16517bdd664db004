"""Gate and norm against torch's rms_norm, for one direction and two."""

import pytest
import torch
from torch.nn import functional

from sc_mamba2.ops import gated_norm


@pytest.mark.parametrize("directions", [1, 2])
def test_it_equals_torch(directions):
    z = torch.randn(2, 5, 8, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(8, dtype=torch.float64, requires_grad=True)
    ys = [torch.randn(2, 5, 8, dtype=torch.float64, requires_grad=True) for _ in range(directions)]
    pull = torch.randn(2, 5, 8, dtype=torch.float64)
    normed = [functional.rms_norm(y * functional.silu(z), (8,), weight, 1e-5) for y in ys]
    expected = sum(normed) / directions
    found = gated_norm(ys, z, weight, 1e-5)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    inputs = [z, weight, *ys]
    ours = torch.autograd.grad((found * pull).sum(), inputs)
    theirs = torch.autograd.grad((expected * pull).sum(), inputs)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_closed_gate_gives_zero():
    y, z = torch.randn(1, 3, 4), torch.zeros(1, 3, 4)
    assert not gated_norm([y], z, torch.ones(4), 1e-5).any()
