"""A whole genome is one row: every token runs through every layer, and the last one reaches `<cls>`."""

import math

import pytest
import torch

from sc_mamba2.model import Backbone, preset

GENES = 60_530


@pytest.mark.parametrize("recompute", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_last_token_reaches_cls(recompute):
    torch.manual_seed(0)
    backbone = Backbone(preset("micro", GENES + 1, n_layers=1))
    # A fresh mixer forgets within some hundred tokens; one head here remembers a whole genome.
    with torch.no_grad():
        mixer = backbone.layers[0].mixer
        mixer.A_log[0] = -math.log(GENES * 0.01)
        mixer.dt_bias[0] = -4.6  # softplus: about 0.01
    backbone.recompute_layers = recompute
    ids = torch.arange(GENES)[None]
    values = torch.rand(1, GENES).mul(50).round().requires_grad_()
    cell = backbone.encode(ids, values, torch.tensor([GENES]))
    (reach,) = torch.autograd.grad(cell[0, 0], values)
    assert torch.isfinite(reach).all()
    # Not by a hair: as much as what tokens in the middle have.
    assert reach[0, -1].abs() > 0
    assert reach[0, -100:].abs().mean() > 0.1 * reach[0, GENES // 2 :][:100].abs().mean()
    # ReLU and clamp leave no gradient at some values; of most tokens there is one.
    assert (reach != 0).float().mean() > 0.99


@pytest.mark.slow
def test_other_last_tokens_give_another_cell():
    torch.manual_seed(0)
    backbone = Backbone(preset("micro", GENES + 1)).eval()
    with torch.no_grad():
        for layer in backbone.layers:
            layer.mixer.A_log -= 9
    ids, values = torch.arange(GENES)[None], torch.rand(1, GENES).mul(50).round()
    changed = values.clone()
    changed[0, -1] = 50 - changed[0, -1]
    lengths = torch.tensor([GENES])
    with torch.no_grad():
        one, other = (backbone.encode(ids, part, lengths) for part in (values, changed))
    assert not torch.equal(one, other)
