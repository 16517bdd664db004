"""Heads in chunks of tokens give what they give whole, gradients too."""

import pytest
import torch
from torch.nn import functional

from sc_mamba2.model import (
    CellExpressionDecoder,
    ExpressionDecoder,
    GeneDecoder,
    expression_in_chunks,
    gene_loss,
)


def with_gradients(value, inputs):
    pull = torch.randn(value.shape, generator=torch.Generator().manual_seed(2)).double()
    return [value.detach(), *torch.autograd.grad((value * pull).sum(), inputs, retain_graph=True)]


@pytest.mark.parametrize("tokens", [1, 6, 7, 1000])
@pytest.mark.parametrize("zeros", [False, True])
def test_the_expression_of_tokens(tokens, zeros):
    torch.manual_seed(0)
    head = ExpressionDecoder(8, zeros).double()
    hidden = torch.randn(3, 11, 8, dtype=torch.float64, requires_grad=True)
    found, expected = expression_in_chunks(head, hidden, tokens), head(hidden)
    for ours, theirs in zip(found, expected, strict=True):
        if theirs is None:
            assert ours is None
            continue
        inputs = [hidden, *(head.zero_logit if theirs is expected[1] else head.fc).parameters()]
        for one, other in zip(
            with_gradients(ours, inputs), with_gradients(theirs, inputs), strict=True
        ):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_the_cell_gets_its_gradient_through_chunks():
    torch.manual_seed(0)
    head = CellExpressionDecoder(8).double()
    cell = torch.randn(2, 8, dtype=torch.float64, requires_grad=True)
    genes = torch.randn(2, 9, 8, dtype=torch.float64, requires_grad=True)
    found = expression_in_chunks(lambda part: head(cell, part), genes, 4).value
    expected = head(cell, genes).value
    inputs = [cell, genes, *head.parameters()]
    for one, other in zip(
        with_gradients(found, inputs), with_gradients(expected, inputs), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("tokens", [1, 4, 100])
def test_telling_genes_apart(tokens):
    torch.manual_seed(0)
    decoder = GeneDecoder(8).double()
    hidden = torch.randn(10, 8, dtype=torch.float64, requires_grad=True)
    embedding = torch.randn(30, 8, dtype=torch.float64, requires_grad=True)
    target = torch.randint(30, (10,))
    query = decoder(hidden)
    found = gene_loss(query, embedding, target, tokens)
    expected = functional.cross_entropy(query @ embedding.T, target)
    inputs = [hidden, embedding, *decoder.parameters()]
    for one, other in zip(
        with_gradients(found, inputs), with_gradients(expected, inputs), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_no_token_costs_nothing():
    query = torch.zeros(0, 4, requires_grad=True)
    loss = gene_loss(query, torch.randn(5, 4), torch.zeros(0, dtype=torch.long))
    loss.backward()
    assert loss == 0
    assert query.grad is not None


def test_the_logits_of_all_tokens_never_exist_at_once():
    sizes = []

    class Watched(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), kwargs=None):
            found = function(*arguments, **(kwargs or {}))
            if isinstance(found, torch.Tensor):
                sizes.append(found.numel())
            return found

    query = torch.randn(64, 4, requires_grad=True)
    with Watched():
        gene_loss(query, torch.randn(500, 4), torch.zeros(64, dtype=torch.long), 8)
    assert max(sizes) == 8 * 500
