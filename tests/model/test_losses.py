"""Shared losses over masks, empty ones and saturated probabilities included."""

import math

import pytest
import torch

from sc_mamba2.model import elastic_similarity
from sc_mamba2.model.losses import hidden_genes_nll_sum, masked_squares, masked_zero_nll_sum

MASK = torch.tensor([[True, False, True]])


def test_masked_squares():
    predicted = torch.tensor([[1.0, float("nan"), 4.0]], requires_grad=True)
    loss = masked_squares(predicted, torch.tensor([[0.0, float("nan"), 2.0]]), MASK)
    assert loss.item() == 5
    loss.backward()
    assert predicted.grad.tolist() == [[2.0, 0.0, 4.0]]


def test_masked_zero_nll_sum():
    probability = torch.tensor([[0.25, float("nan"), 0.5]])
    loss = masked_zero_nll_sum(probability, torch.tensor([[3.0, 0.0, 0.0]]), MASK)
    assert math.isclose(loss.item(), -(math.log(0.25) + math.log(0.5)), rel_tol=1e-6)


def test_an_empty_mask_gives_zero():
    empty = torch.zeros(1, 3, dtype=torch.bool)
    assert masked_squares(torch.ones(1, 3), torch.zeros(1, 3), empty) == 0
    assert masked_zero_nll_sum(torch.ones(1, 3), torch.zeros(1, 3), empty) == 0


def test_a_saturated_probability_costs_a_finite_amount():
    probability = torch.tensor([[1.0, 0.5, 0.0]], requires_grad=True)
    loss = masked_zero_nll_sum(probability, torch.tensor([[0.0, 0.0, 2.0]]), MASK)
    loss.backward()
    assert 10 < loss.item() < 100
    assert torch.isfinite(probability.grad).all()


def test_hidden_genes_are_draws_from_one_distribution_a_cell():
    torch.manual_seed(0)
    logits = torch.randn(2, 7, dtype=torch.float64)
    ids = torch.tensor([[1, 4, 6], [3, 0, 0]])
    mask = torch.tensor([[True, True, True], [True, False, False]])
    slow = -sum(
        torch.log(logits[row].exp()[gene] / logits[row].exp().sum())
        for row, gene in ((0, 1), (0, 4), (0, 6), (1, 3))
    )
    torch.testing.assert_close(hidden_genes_nll_sum(logits, ids, mask), slow)
    assert hidden_genes_nll_sum(logits, ids, torch.zeros_like(mask)) == 0


def test_elastic_similarity_is_the_plain_sum_over_pairs():
    torch.manual_seed(3)
    cells = torch.randn(5, 4, dtype=torch.float64)
    total = 0.0
    for one in range(5):
        for other in range(5):
            if one != other:
                cosine = torch.cosine_similarity(cells[one], cells[other], dim=0)
                total -= float((cosine - 0.3) ** 2)
    assert float(elastic_similarity(cells, 0.3)) == pytest.approx(total / 20, rel=1e-12)
    assert float(elastic_similarity(cells[:1], 0.3)) == 0


@pytest.mark.parametrize(("cosine", "draws"), [(0.8, True), (0.1, False)])
def test_elastic_similarity_draws_what_is_alike_and_parts_the_rest(cosine, draws):
    other = torch.tensor([cosine, (1 - cosine**2) ** 0.5], requires_grad=True)
    elastic_similarity(torch.stack([torch.tensor([1.0, 0.0]), other]), 0.5).backward()
    moved = other.detach() - 0.01 * other.grad
    after = torch.cosine_similarity(moved, torch.tensor([1.0, 0.0]), dim=0)
    assert (after > cosine) == draws
