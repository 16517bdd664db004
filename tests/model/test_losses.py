"""Shared losses over masks, empty ones and saturated probabilities included."""

import math

import torch

from sc_mamba2.model import masked_mse, masked_zero_nll

MASK = torch.tensor([[True, False, True]])


def test_masked_mse():
    predicted = torch.tensor([[1.0, float("nan"), 4.0]], requires_grad=True)
    loss = masked_mse(predicted, torch.tensor([[0.0, float("nan"), 2.0]]), MASK)
    assert loss.item() == 2.5
    loss.backward()
    assert predicted.grad.tolist() == [[1.0, 0.0, 2.0]]


def test_masked_zero_nll():
    probability = torch.tensor([[0.25, float("nan"), 0.5]])
    loss = masked_zero_nll(probability, torch.tensor([[3.0, 0.0, 0.0]]), MASK)
    assert math.isclose(loss.item(), -(math.log(0.25) + math.log(0.5)) / 2, rel_tol=1e-6)


def test_an_empty_mask_gives_zero():
    empty = torch.zeros(1, 3, dtype=torch.bool)
    assert masked_mse(torch.ones(1, 3), torch.zeros(1, 3), empty) == 0
    assert masked_zero_nll(torch.ones(1, 3), torch.zeros(1, 3), empty) == 0


def test_a_saturated_probability_costs_a_finite_amount():
    probability = torch.tensor([[1.0, 0.5, 0.0]], requires_grad=True)
    loss = masked_zero_nll(probability, torch.tensor([[0.0, 0.0, 2.0]]), MASK)
    loss.backward()
    assert 10 < loss.item() < 100
    assert torch.isfinite(probability.grad).all()
