"""Heads: their formulas, and names that the released keys map to."""

import torch

from sc_mamba2.model import CellClassifier, CellExpressionDecoder, ExpressionDecoder


def linears(prefix, layers, width, last):
    shapes = {}
    for layer in layers:
        out = last if layer == layers[-1] else width
        shapes |= {f"{prefix}.{layer}.weight": (out, width), f"{prefix}.{layer}.bias": (out,)}
    return shapes


def shapes_of(module):
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def test_names_are_the_released_ones():
    fc = linears("fc", (0, 2, 4), 6, 1)
    assert shapes_of(ExpressionDecoder(6)) == fc
    zero = linears("zero_logit", (0, 2, 4), 6, 1)
    assert shapes_of(ExpressionDecoder(6, zero_probability=True)) == fc | zero
    assert set(shapes_of(CellExpressionDecoder(6))) == {
        "gene2query.weight",
        "gene2query.bias",
        "W.weight",
    }
    numbers = {"decoder.0", "decoder.2", "decoder.3", "decoder.5", "out_layer"}
    assert {name.rsplit(".", 1)[0] for name in shapes_of(CellClassifier(6, 3))} == numbers


def test_expression_decoder():
    head = ExpressionDecoder(6, zero_probability=True)
    value, probability = head(torch.randn(2, 5, 6))
    assert value.shape == probability.shape == (2, 5)
    assert (probability > 0).all()
    assert (probability < 1).all()
    assert ExpressionDecoder(6)(torch.randn(2, 5, 6)).nonzero_probability is None


def test_cell_expression_decoder_is_its_formula():
    head = CellExpressionDecoder(6, cell_width=4, zero_probability=True).double()
    cell = torch.randn(2, 4, dtype=torch.float64)
    genes = torch.randn(2, 5, 6, dtype=torch.float64)
    query = torch.sigmoid(head.gene2query(genes))
    found = head(cell, genes)
    expected = torch.einsum("bld,bd->bl", head.W(query), cell)
    torch.testing.assert_close(found.value, expected)
    logit = torch.einsum("bld,bd->bl", head.W_zero_logit(query), cell)
    torch.testing.assert_close(found.nonzero_probability, torch.sigmoid(logit))


def test_classifier():
    assert CellClassifier(6, 3)(torch.randn(4, 6)).shape == (4, 3)
    assert [type(part).__name__ for part in CellClassifier(6, 3).decoder] == [
        "Linear",
        "ReLU",
        "LayerNorm",
    ] * 2
