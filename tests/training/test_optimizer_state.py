"""An optimizer that was saved and read again takes the same steps, bit for bit."""

import json

import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.distributed.checkpoint.state_dict import (
    get_optimizer_state_dict,
    set_optimizer_state_dict,
)

from sc_mamba2.training import flatten_optimizer, unflatten_optimizer


def new(kind=torch.optim.AdamW, **options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 1))
    groups = [
        {"params": [model[0].weight], "lr": 0.1 / 3, "weight_decay": 0.5},
        {"params": [model[0].bias, *model[1].parameters()], "lr": 1e-3},
    ]
    return model, kind(groups, **options)


def train(model, optimizer, steps):
    for step in steps:
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.AdamW, {"betas": (0.9, 0.95)}),
        (torch.optim.AdamW, {"amsgrad": True}),
        (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
        (torch.optim.SGD, {"lr": 0.1}),
    ],
)
def test_the_steps_after_a_resume_are_those_of_an_unbroken_run(kind, options):
    model, optimizer = new(kind, **options)
    train(model, optimizer, range(3))
    tensors, table = flatten_optimizer(get_optimizer_state_dict(model, optimizer))
    tensors, table = load(save(tensors)), json.loads(json.dumps(table))
    resumed, its_optimizer = new(kind, **options)
    resumed.load_state_dict(model.state_dict())
    set_optimizer_state_dict(resumed, its_optimizer, unflatten_optimizer(tensors, table))
    assert its_optimizer.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    train(model, optimizer, range(3, 6))
    train(resumed, its_optimizer, range(3, 6))
    for one, other in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_tensors_are_named_after_their_parameter():
    model, optimizer = new()
    train(model, optimizer, range(1))
    state = get_optimizer_state_dict(model, optimizer)
    tensors, table = flatten_optimizer(state)
    names = [name for name, _ in model.named_parameters()]
    entries = ("exp_avg", "exp_avg_sq", "step")
    assert tensors.keys() == {f"{name}.{entry}" for name in names for entry in entries}
    assert tensors["0.weight.exp_avg"] is state["state"]["0.weight"]["exp_avg"]
    assert [group["params"] for group in table["param_groups"]] == [["0.weight"], names[1:]]


def test_what_is_no_tensor_goes_through_the_table():
    state = {"state": {"a.b": {"step": 3, "mean": torch.ones(2)}}, "param_groups": []}
    tensors, table = flatten_optimizer(state)
    assert list(tensors) == ["a.b.mean"] and table["scalars"] == {"a.b": {"step": 3}}
    assert unflatten_optimizer(tensors, table) == state
