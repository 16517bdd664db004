"""Heads in chunks of tokens give what they give whole, gradients too."""

import pytest
import torch

from sc_mamba2.model import (
    CellExpressionDecoder,
    ExpressionDecoder,
    expression_in_chunks,
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
