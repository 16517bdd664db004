"""Property 1 on the scan itself: the paths agree, output and every gradient, ragged and packed."""

import pytest
import torch
from tests.ops.mixers import (
    INNER,
    NAMES,
    PACKED,
    PROJECTED,
    RAGGED,
    mixer_tensors,
    relative,
    rows_for,
    weights_of,
)

from sc_mamba2.ops import bidirectional_scan, cell_spans, directional_scan


def both(x, lengths, weights, path):
    return bidirectional_scan(x, lengths, weights, path)


def ahead(x, lengths, weights, path):
    return directional_scan(x, lengths, weights, path)


def back(x, lengths, weights, path):
    return directional_scan(x, lengths, weights, path, reverse=True)


@pytest.mark.parametrize("scan", [both, ahead, back])
@pytest.mark.parametrize("lengths", [*RAGGED, *PACKED])
def test_the_blocked_path_equals_run_flip_run_flip_back(scan, lengths):
    lengths = torch.tensor(lengths)
    tensors, x = mixer_tensors(), rows_for(lengths).requires_grad_()
    pull = rows_for(lengths, seed=2, width=INNER)
    results = []
    for path in ("blocked", "reference"):
        y = scan(x, lengths, weights_of(tensors), path)
        results.append([y.detach(), *torch.autograd.grad((y * pull).sum(), [x, *tensors])])
    for name, found, expected in zip(("y", *NAMES), *results, strict=True):
        assert relative(found, expected) < 1e-12, name


@pytest.mark.parametrize("path", ["blocked", "reference"])
@pytest.mark.parametrize("lengths", PACKED)
def test_a_packed_cell_is_the_same_alone(path, lengths):
    lengths, weights = torch.tensor(lengths), weights_of(mixer_tensors())
    x = rows_for(lengths)
    found = both(x, lengths, weights, path).flatten(0, 1)
    spans = cell_spans(lengths, x.shape[1])
    for start, size in zip(spans.starts.tolist(), spans.lengths.tolist(), strict=True):
        cell = x.flatten(0, 1)[None, start : start + size]
        alone = both(cell, torch.tensor([size]), weights, path)
        assert relative(found[start : start + size], alone[0]) < 1e-12


@pytest.mark.parametrize("path", ["blocked", "reference"])
def test_both_directions_average_the_single_ones(path):
    weights = weights_of(mixer_tensors())
    x, lengths = torch.randn(3, 20, PROJECTED, dtype=torch.float64), torch.tensor([20, 7, 1])
    average = (ahead(x, lengths, weights, path) + back(x, lengths, weights, path)) / 2
    assert relative(both(x, lengths, weights, path), average) < 1e-13


@pytest.mark.parametrize("path", ["blocked", "reference"])
@pytest.mark.parametrize("scan", [both, ahead, back])
@pytest.mark.parametrize("lengths", [[12, 5], [[9, 3], [4, 1]]])
def test_pads_are_zero_and_have_no_gradient(path, scan, lengths):
    weights = weights_of(mixer_tensors())
    x = torch.randn(2, 12, PROJECTED, dtype=torch.float64, requires_grad=True)
    y = scan(x, torch.tensor(lengths), weights, path)
    assert not y[1, 5:].any()
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    assert not gradient[1, 5:].any()
    assert gradient[1, :5].abs().sum(-1).all()


@pytest.mark.parametrize("hostile", [float("nan"), float("inf"), 1e300])
def test_the_blocked_path_survives_anything_in_pads(hostile):
    tensors = mixer_tensors()
    x = torch.randn(2, 12, PROJECTED, dtype=torch.float64)
    lengths = torch.tensor([12, 5])
    clean = both(x, lengths, weights_of(tensors), "blocked")
    x[1, 5:] = hostile
    y = both(x.requires_grad_(), lengths, weights_of(tensors), "blocked")
    assert torch.equal(y, clean)
    y.sum().backward()
    assert all(torch.isfinite(tensor.grad).all() for tensor in (x, *tensors))


@pytest.mark.parametrize(
    "lengths", [pytest.param([5, 4], marks=pytest.mark.slow), [[2, 3], [4, 1]]]
)
def test_gradcheck(lengths):
    tensors = mixer_tensors()
    x = torch.randn(2, 5, PROJECTED, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, *tensors: both(x, torch.tensor(lengths), weights_of(tensors), "blocked"),
        [x, *tensors],
    )


@pytest.mark.parametrize("path", ["blocked", "reference"])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_half_precision_is_computed_in_single(path, kind):
    lengths = torch.tensor([90, 31])
    x = rows_for(lengths, dtype=torch.float32).bfloat16().requires_grad_()
    tensors = [part.detach().to(kind) for part in mixer_tensors(dtype=torch.float32)]
    y = both(x, lengths, weights_of(tensors), path)
    exact = both(x.detach().float(), lengths, weights_of([t.float() for t in tensors]), path)
    assert y.dtype == torch.bfloat16
    assert relative(y.float(), exact) < 1e-2
    (gradient,) = torch.autograd.grad(y.float().square().sum(), x)
    assert gradient.dtype == torch.bfloat16
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("path", ["blocked", "reference"])
@pytest.mark.parametrize("shape", [(0, 5), (2, 0)])
def test_no_rows_and_no_tokens_are_fine(path, shape):
    x = torch.zeros(*shape, PROJECTED, dtype=torch.float64)
    lengths = torch.zeros(shape[0], dtype=torch.long)
    assert both(x, lengths, weights_of(mixer_tensors()), path).shape == (*shape, INNER)
