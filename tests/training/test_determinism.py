"""One seed for every source of chance, and a device that is there."""

import random

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from sc_mamba2.errors import UserError
from sc_mamba2.training import ComputeOptions, FitOptions, choose_device, seed_everything


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item(), torch.randperm(9).tolist()


def test_one_seed_for_all():
    seed_everything(3)
    first = draws()
    assert draws() != first
    seed_everything(3)
    assert draws() == first
    seed_everything(4)
    assert all(left != right for left, right in zip(draws()[:3], first[:3], strict=True))
    assert torch.are_deterministic_algorithms_enabled()


def test_devices(monkeypatch):
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda", "cuda:1"])
def test_no_gpu(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError) as caught:
        choose_device(name)
    assert caught.value.rule == "device-missing"


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (FitOptions, {"learning_rate": 0}),
        (FitOptions, {"learning_rate": -1e-3}),
        (FitOptions, {"batch_size": 0}),
        (FitOptions, {"gene_dropout": 1}),
        (FitOptions, {"mode": "nothing"}),
        (FitOptions, {"learnin_rate": 1e-3}),
        (ComputeOptions, {"seed": -1}),
        (ComputeOptions, {"seed": 2**32}),
        (ComputeOptions, {"device": "tpu"}),
    ],
)
def test_options_refuse_what_is_out_of_range(options, wrong):
    with pytest.raises(ValidationError):
        options(**wrong)


def test_options_are_frozen():
    with pytest.raises(ValidationError):
        FitOptions().batch_size = 3
