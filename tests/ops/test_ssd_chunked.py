"""Property 2: the chunked scan is the step-by-step one, forward and gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sc_mamba2.ops import ssd_chunked, ssd_reference

NAMES = ("x", "dt", "A", "B", "C", "D")


def scan_inputs(rows, length, heads, width, state, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, dtype=dtype, generator=generator)

    dt = torch.nn.functional.softplus(normal(rows, length, heads) - 2)
    A = -torch.exp(normal(heads))
    x, B, C = (
        normal(rows, length, heads, width),
        normal(rows, length, state),
        normal(rows, length, state),
    )
    return [part.requires_grad_() for part in (x, dt.detach(), A, B, C, normal(heads))]


def relative(found, expected):
    # A gradient that is zero (of A, over one token) is compared absolutely.
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-3))


def with_gradients(scan, inputs, pull, **options):
    y = scan(*inputs, **options)
    return [y.detach(), *torch.autograd.grad((y * pull).sum(), inputs)]


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 128, 129, 1000])
def test_it_equals_the_recurrence(length):
    inputs = scan_inputs(2, length, 2, 4, 8)
    pull = torch.randn(2, length, 2, 4, dtype=torch.float64)
    expected = with_gradients(ssd_reference, inputs, pull)
    found = with_gradients(ssd_chunked, inputs, pull)
    for name, ours, theirs in zip(("y", *NAMES), found, expected, strict=True):
        assert relative(ours, theirs) < 1e-10, name


def test_it_equals_the_recurrence_over_twenty_thousand_tokens():
    inputs = scan_inputs(1, 20_000, 1, 2, 2)
    with torch.no_grad():
        expected = ssd_reference(*inputs)
    # Autograd through 20,000 steps takes too long here: gradients are held to another chunk.
    pull = torch.randn(1, 20_000, 1, 2, dtype=torch.float64)
    found = with_gradients(ssd_chunked, inputs, pull)
    other = with_gradients(ssd_chunked, inputs, pull, chunk=23)
    assert relative(found[0], expected) < 1e-10
    for name, ours, theirs in zip(NAMES, found[1:], other[1:], strict=True):
        assert relative(ours, theirs) < 1e-10, name


@given(
    length=st.integers(1, 40),
    chunk=st.integers(1, 50),
    heads=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_the_chunk_does_not_matter(length, chunk, heads, seed):
    inputs = scan_inputs(2, length, heads, 3, 4, seed)
    pull = torch.randn(2, length, heads, 3, dtype=torch.float64)
    expected = with_gradients(ssd_reference, inputs, pull)
    for ours, theirs in zip(
        with_gradients(ssd_chunked, inputs, pull, chunk=chunk), expected, strict=True
    ):
        assert relative(ours, theirs) < 1e-10


@pytest.mark.parametrize("length", [1, 5, 8, 11])
def test_gradcheck(length):
    inputs = scan_inputs(2, length, 2, 3, 2)
    assert torch.autograd.gradcheck(lambda *parts: ssd_chunked(*parts, chunk=4), inputs)


def test_fast_decays_neither_overflow_nor_make_nan():
    # exp(s_i - s_j) above the diagonal would be exp(+6400) without the mask.
    x, dt, A, B, C, D = scan_inputs(1, 64, 1, 2, 2, dtype=torch.float32)
    inputs = [x, torch.full_like(dt, 10.0).requires_grad_(), (A * 0 - 10).detach(), B, C, D]
    inputs[2].requires_grad_()
    y = ssd_chunked(*inputs)
    expected = ssd_reference(*inputs)
    torch.testing.assert_close(y, expected, rtol=1e-5, atol=1e-5)
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(y.sum(), inputs))


def test_zero_steps_have_finite_gradients():
    inputs = scan_inputs(1, 10, 2, 2, 2)
    inputs[1] = torch.zeros_like(inputs[1]).requires_grad_()
    pull = torch.randn(1, 10, 2, 2, dtype=torch.float64)
    for ours, theirs in zip(
        with_gradients(ssd_chunked, inputs, pull, chunk=4),
        with_gradients(ssd_reference, inputs, pull),
        strict=True,
    ):
        assert torch.isfinite(ours).all()
        assert (ours - theirs).abs().max() < 1e-12


def test_single_precision_stays_close():
    inputs = scan_inputs(2, 300, 2, 8, 16, dtype=torch.float32)
    pull = torch.randn(2, 300, 2, 8)
    doubles = [part.detach().double().requires_grad_() for part in inputs]
    expected = with_gradients(ssd_reference, doubles, pull.double())
    found = with_gradients(ssd_chunked, inputs, pull)
    for name, ours, theirs in zip(("y", *NAMES), found, expected, strict=True):
        assert ours.dtype == torch.float32
        assert relative(ours.double(), theirs) < 2e-5, name


def test_half_precision_is_computed_in_single():
    inputs = [part.detach().bfloat16() for part in scan_inputs(1, 100, 2, 4, 8)]
    y = ssd_chunked(*inputs)
    assert y.dtype == torch.bfloat16
    expected = ssd_chunked(*(part.float() for part in inputs))
    torch.testing.assert_close(y, expected.bfloat16())


def test_no_tokens_and_no_rows_are_fine():
    assert ssd_chunked(*scan_inputs(2, 0, 1, 2, 2)).shape == (2, 0, 1, 2)
    assert ssd_chunked(*scan_inputs(0, 5, 1, 2, 2)).shape == (0, 5, 1, 2)
