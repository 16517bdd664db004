"""The mixer: `mamba_ssm`'s keys and initial values, and property 7 against `transformers`."""

import math

import pytest
import torch

from sc_mamba2.model import Mamba2Mixer, mixer, preset

SHAPES = {
    "dt_bias": (2,),
    "A_log": (2,),
    "D": (2,),
    "in_proj.weight": (2 * 128 + 2 * 64 + 2, 64),
    "conv1d.weight": (128 + 128, 1, 4),
    "conv1d.bias": (128 + 128,),
    "norm.weight": (128,),
    "out_proj.weight": (64, 128),
}


def test_the_state_dict_is_that_of_mamba_ssm():
    state = Mamba2Mixer(preset("micro", 9)).state_dict()
    assert {name: tuple(tensor.shape) for name, tensor in state.items()} == SHAPES


def test_initial_values():
    torch.manual_seed(0)
    mixer = Mamba2Mixer(preset("micro", 9, d_model=2048, expand=4))
    steps = torch.nn.functional.softplus(mixer.dt_bias)
    assert 1e-3 * 0.999 <= steps.min() < 2e-3
    assert 5e-2 < steps.max() <= 1e-1 * 1.001
    middle = math.sqrt(1e-3 * 1e-1)
    assert middle / 2 < steps.median() < middle * 2
    decays = mixer.A_log.exp()
    assert decays.min() >= 1
    assert decays.max() <= 16
    assert 7 < decays.mean() < 10
    assert (mixer.D == 1).all()


@pytest.mark.parametrize("path", ["blocked", "reference"])
def test_it_equals_the_mixer_of_transformers(path):
    mamba2 = pytest.importorskip(
        "transformers.models.mamba2", reason="transformers is a test-only dependency"
    )
    torch.manual_seed(0)
    config = mamba2.Mamba2Config(
        hidden_size=64,
        num_heads=2,
        head_dim=64,
        state_size=64,
        expand=2,
        n_groups=1,
        chunk_size=32,
        layer_norm_epsilon=1e-5,
        time_step_limit=(0.0, float("inf")),
    )
    theirs = mamba2.modeling_mamba2.Mamba2Mixer(config, layer_idx=0)
    ours = Mamba2Mixer(preset("micro", 9))
    with torch.no_grad():
        ours.norm.weight.uniform_(0.5, 1.5)
        ours.D.uniform_(0.5, 1.5)
    theirs.load_state_dict(ours.state_dict(), strict=True)
    x = torch.randn(2, 100, 64)
    pull = torch.randn(2, 100, 64)
    results = []
    for module, arguments in ((ours, (torch.full((2,), 100), path)), (theirs, ())):
        leaf = x.clone().requires_grad_()
        y = module(leaf, *arguments)
        (y * pull).sum().backward()
        gradients = {name: p.grad for name, p in module.named_parameters()}
        results.append({"y": y.detach(), "x": leaf.grad, **gradients})
    assert results[0].keys() == results[1].keys()
    for name, expected in results[1].items():
        difference = (results[0][name] - expected).abs().max() / expected.abs().max()
        assert difference < 1e-5, name


def test_reverse_reads_the_row_from_its_last_real_token():
    mixer = Mamba2Mixer(preset("micro", 9)).double()
    x = torch.randn(1, 9, 64, dtype=torch.float64)
    found = mixer(x, torch.tensor([6]), reverse=True)
    expected = mixer(x[:, :6].flip(1), torch.tensor([6])).flip(1)
    torch.testing.assert_close(found[:, :6], expected, rtol=1e-12, atol=1e-12)
    assert not found[:, 6:].any()


@pytest.mark.parametrize("training", [False, True])
def test_the_fastest_path_is_measured_on_the_tokens_at_hand(monkeypatch, training):
    given = {}

    def first(work, judge, candidates):
        given.update(work=work, judge=judge(), **{name: run() for name, run in candidates.items()})
        return next(iter(candidates))

    monkeypatch.setattr(mixer, "kernel_paths", lambda device, kind: ["reference"])
    monkeypatch.setattr(mixer, "fastest", first)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    layer = Mamba2Mixer(preset("micro", 9))
    with torch.set_grad_enabled(training):
        path = layer._fastest(torch.randn(2, 30, 64), torch.tensor([30, 20]))
    assert path == "reference"
    assert (given["work"].rows, given["work"].length, given["work"].training) == (2, 30, training)
    assert torch.allclose(given["reference"], given["judge"], atol=1e-5)
    assert all(part.grad is None for part in layer.parameters())
