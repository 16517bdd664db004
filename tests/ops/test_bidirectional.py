"""Property 1 on the scan itself: both paths agree, output and every gradient, on ragged rows."""

import pytest
import torch

from sc_mamba2.ops import MixerWeights, bidirectional_scan, directional_scan

HEADS, WIDTH, STATE = 2, 4, 6
INNER = HEADS * WIDTH
PROJECTED = 2 * INNER + 2 * STATE + HEADS
NAMES = ("zxbcdt", "conv_weight", "conv_bias", "dt_bias", "A_log", "D", "norm_weight")


def mixer_tensors(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    channels = INNER + 2 * STATE
    shapes = [(channels, 1, 4), (channels,), (HEADS,), (HEADS,), (HEADS,), (INNER,)]
    return [torch.randn(s, dtype=dtype, generator=generator).requires_grad_() for s in shapes]


def weights_of(tensors):
    return MixerWeights(*tensors, 1e-5, STATE, WIDTH)


def relative(found, expected):
    found, expected = found.detach(), expected.detach()
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-300))


def both(x, lengths, weights, path):
    return bidirectional_scan(x, lengths, weights, path)


def ahead(x, lengths, weights, path):
    return directional_scan(x, lengths, weights, path)


def back(x, lengths, weights, path):
    return directional_scan(x, lengths, weights, path, reverse=True)


@pytest.mark.parametrize("scan", [both, ahead, back])
@pytest.mark.parametrize("lengths", [[70, 70], [70, 1, 33, 0, 69], [130, 64, 65, 129]])
def test_the_chunked_path_equals_run_flip_run_flip_back(scan, lengths):
    torch.manual_seed(1)
    tensors = mixer_tensors()
    x = torch.randn(len(lengths), max(lengths), PROJECTED, dtype=torch.float64, requires_grad=True)
    pull = torch.randn(len(lengths), max(lengths), INNER, dtype=torch.float64)
    results = []
    for path in ("chunked", "reference"):
        y = scan(x, torch.tensor(lengths), weights_of(tensors), path)
        results.append([y.detach(), *torch.autograd.grad((y * pull).sum(), [x, *tensors])])
    for name, found, expected in zip(("y", *NAMES), *results, strict=True):
        assert relative(found, expected) < 1e-12, name


@pytest.mark.parametrize("path", ["chunked", "reference"])
def test_both_directions_average_the_single_ones(path):
    weights = weights_of(mixer_tensors())
    x, lengths = torch.randn(3, 20, PROJECTED, dtype=torch.float64), torch.tensor([20, 7, 1])
    average = (ahead(x, lengths, weights, path) + back(x, lengths, weights, path)) / 2
    assert relative(both(x, lengths, weights, path), average) < 1e-13


@pytest.mark.parametrize("path", ["chunked", "reference"])
@pytest.mark.parametrize("scan", [both, ahead, back])
def test_pads_are_zero_and_have_no_gradient(path, scan):
    weights = weights_of(mixer_tensors())
    x = torch.randn(2, 12, PROJECTED, dtype=torch.float64, requires_grad=True)
    y = scan(x, torch.tensor([12, 5]), weights, path)
    assert not y[1, 5:].any()
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    assert not gradient[1, 5:].any()
    assert gradient[1, :5].abs().sum(-1).all()


@pytest.mark.parametrize("hostile", [float("nan"), float("inf"), 1e300])
def test_the_chunked_path_survives_anything_in_pads(hostile):
    tensors = mixer_tensors()
    x = torch.randn(2, 12, PROJECTED, dtype=torch.float64)
    lengths = torch.tensor([12, 5])
    clean = both(x, lengths, weights_of(tensors), "chunked")
    x[1, 5:] = hostile
    y = both(x.requires_grad_(), lengths, weights_of(tensors), "chunked")
    assert torch.equal(y, clean)
    y.sum().backward()
    assert all(torch.isfinite(tensor.grad).all() for tensor in (x, *tensors))


def test_gradcheck():
    tensors = mixer_tensors()
    x = torch.randn(2, 6, PROJECTED, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([6, 4])
    assert torch.autograd.gradcheck(
        lambda x, *tensors: both(x, lengths, weights_of(tensors), "chunked"), [x, *tensors]
    )
