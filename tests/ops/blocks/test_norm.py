"""A block's gated norm is the formula, and its gradient autograd's."""

import torch
from torch.nn import functional

from sc_mamba2.ops.blocks.mixer import norm_block, norm_block_backward


def test_it_equals_the_formula_with_gradients():
    torch.manual_seed(0)
    y, z = (torch.randn(2, 5, 6, dtype=torch.float64, requires_grad=True) for _ in range(2))
    weight = torch.randn(6, dtype=torch.float64, requires_grad=True)
    expected = functional.rms_norm(y * functional.silu(z), (6,), weight, 1e-3)
    pull = torch.randn_like(expected)
    gradients = torch.autograd.grad((expected * pull).sum(), (y, z, weight))
    with torch.no_grad():
        normed = norm_block(y, z, 1e-3)
        found = norm_block_backward(pull, weight, y, z, normed)
    torch.testing.assert_close(normed.g_RTI * weight, expected, rtol=1e-12, atol=1e-12)
    for ours, theirs in zip(found, gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
