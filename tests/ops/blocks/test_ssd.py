"""Property 2: the recurrence of a block is the step-by-step one, forward and every gradient."""

import pytest
import torch
from hypothesis import given, settings, strategies as st

from sc_mamba2.ops import ssd_reference
from sc_mamba2.ops.blocks.ssd import BlockInputs, scan_block, scan_block_backward

NAMES = ("y", "x", "dt", "A", "B", "C", "D")


def scan_inputs(cells, length, heads, width, state, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, dtype=dtype, generator=generator)

    dt = torch.nn.functional.softplus(normal(cells, length, heads) - 2)
    x, B, C = (normal(cells, length, n) for n in (heads * width, state, state))
    return x, dt, -torch.exp(normal(heads)), B, C, normal(heads)


def step_by_step(inputs, pull):
    x, dt, A, B, C, D = (part.detach().requires_grad_() for part in inputs)
    y = ssd_reference(x.unflatten(-1, (len(A), -1)), dt, A, B, C, D).flatten(2)
    return [y.detach(), *torch.autograd.grad((y * pull).sum(), (x, dt, A, B, C, D))]


def in_blocks(inputs, pull, chunk, block):
    """Run blocks forward, then backward, and put their gradients together."""
    x, dt, A, B, C, D = inputs
    length = x.shape[1]
    tail = -length % chunk
    padded = [torch.nn.functional.pad(part, (0, 0, 0, tail)) for part in (x, dt, B, C, pull)]
    cuts = [part.split(block * chunk, dim=1) for part in padded]
    state = x.new_zeros(len(x), B.shape[-1], x.shape[-1])
    scans, block_inputs = [], []
    for parts in zip(*cuts[:4], strict=True):
        x_, dt_, B_, C_ = (part.reshape(-1, chunk, part.shape[-1]) for part in parts)
        block_inputs.append(BlockInputs(x_, dt_, B_, C_, A, D))
        scans.append(scan_block(block_inputs[-1], state))
        state = scans[-1].state_RNI
    dstate, found = torch.zeros_like(state), []
    for given_, scan, dy in zip(block_inputs[::-1], scans[::-1], cuts[4][::-1], strict=True):
        gradients = scan_block_backward(given_, scan, dy.reshape(scan.y_ZcI.shape), dstate)
        dstate = gradients.dstate_RNI
        found.insert(0, gradients)

    def whole(parts):
        return torch.cat([part.reshape(len(x), -1, part.shape[-1]) for part in parts], 1)[
            :, :length
        ]

    dlogdt = whole([g.dlogdt_ZcH for g in found])
    return [
        whole([scan.y_ZcI for scan in scans]),
        whole([g.dx_ZcI for g in found]),
        torch.where(dt > 0, dlogdt / dt, 0),
        sum(g.dA_H for g in found),
        whole([g.dB_ZcN for g in found]),
        whole([g.dC_ZcN for g in found]),
        sum(g.dD_H for g in found),
    ]


def relative(found, expected):
    # A gradient that is zero (of A, over one token) is compared absolutely.
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-3))


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 128, 129, 1000])
@pytest.mark.parametrize("block", [1, 3])
def test_it_equals_the_recurrence(length, block):
    inputs = scan_inputs(2, length, 2, 4, 8)
    pull = torch.randn(2, length, 8, dtype=torch.float64)
    found = in_blocks(inputs, pull, 64, block)
    for name, ours, theirs in zip(NAMES, found, step_by_step(inputs, pull), strict=True):
        assert relative(ours, theirs) < 1e-10, name


def test_it_equals_the_recurrence_over_twenty_thousand_tokens():
    inputs = scan_inputs(1, 20_000, 1, 2, 2)
    pull = torch.randn(1, 20_000, 2, dtype=torch.float64)
    found, other = in_blocks(inputs, pull, 64, 8), in_blocks(inputs, pull, 23, 50)
    x, dt, A, B, C, D = inputs
    expected = ssd_reference(x.unflatten(-1, (1, -1)), dt, A, B, C, D).flatten(2)
    assert relative(found[0], expected) < 1e-10
    # Autograd through 20,000 steps takes too long here: gradients are held to other blocks.
    for name, ours, theirs in zip(NAMES, found, other, strict=True):
        assert relative(ours, theirs) < 1e-10, name


@given(
    length=st.integers(1, 40),
    chunk=st.integers(1, 50),
    block=st.integers(1, 4),
    heads=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_neither_chunk_nor_block_matters(length, chunk, block, heads, seed):
    inputs = scan_inputs(2, length, heads, 3, 4, seed)
    pull = torch.randn(2, length, 3 * heads, dtype=torch.float64)
    found = in_blocks(inputs, pull, chunk, block)
    for ours, theirs in zip(found, step_by_step(inputs, pull), strict=True):
        assert relative(ours, theirs) < 1e-10


def test_fast_decays_neither_overflow_nor_make_nan():
    # exp(s_i - s_j) above the diagonal would be exp(+6400) without the mask.
    x, dt, A, B, C, D = scan_inputs(1, 64, 1, 2, 2, dtype=torch.float32)
    inputs = (x, torch.full_like(dt, 10.0), torch.full_like(A, -10.0), B, C, D)
    pull = torch.ones_like(x)
    found = in_blocks(inputs, pull, 64, 1)
    assert all(torch.isfinite(part).all() for part in found)
    torch.testing.assert_close(found[0], step_by_step(inputs, pull)[0], rtol=1e-5, atol=1e-5)


def test_tokens_without_a_step_write_nothing_and_stay_finite():
    x, dt, A, B, C, D = scan_inputs(1, 20, 2, 2, 2)
    dt[:, 7:11] = 0
    inputs, pull = (x, dt, A, B, C, D), torch.randn(1, 20, 4, dtype=torch.float64)
    found, expected = in_blocks(inputs, pull, 8, 2), step_by_step(inputs, pull)
    assert all(torch.isfinite(part).all() for part in found)
    for name, ours, theirs in zip(NAMES, found, expected, strict=True):
        if name == "dt":  # where dt is 0 only the gradient of log dt is asked for, and it is 0
            ours, theirs = ours * (dt > 0), theirs * (dt > 0)
        assert relative(ours, theirs) < 1e-12, name


def test_single_precision_stays_close():
    inputs = scan_inputs(2, 300, 2, 8, 16, dtype=torch.float32)
    pull = torch.randn(2, 300, 16)
    expected = step_by_step([part.double() for part in inputs], pull.double())
    for name, ours, theirs in zip(NAMES, in_blocks(inputs, pull, 64, 2), expected, strict=True):
        assert ours.dtype == torch.float32
        assert relative(ours.double(), theirs) < 5e-6, name
