"""Adapters: nothing at the start, the formula, merged without a trace, no gradient but their own."""

import copy

import pytest
import torch

from sc_mamba2.model import (
    Backbone,
    adapter_parameters,
    add_adapters,
    merge_adapters,
    preset,
)

RANK, ALPHA = 3, 6.0


def new_backbone(**changes) -> Backbone:
    torch.manual_seed(0)
    config = preset("micro", 20, d_model=16, d_state=8, head_dim=8, **changes)
    return Backbone(config).double().eval()


def inputs():
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(2, 20, (3, 11), generator=generator)
    bins = torch.randint(1, 51, (3, 11), generator=generator)
    return ids, bins, torch.tensor([11, 4, 7])


def adapted(**changes) -> Backbone:
    """A backbone with adapters that are no longer zero."""
    backbone = new_backbone(**changes)
    add_adapters(backbone, RANK, ALPHA)
    torch.manual_seed(2)
    for parameter in adapter_parameters(backbone):
        torch.nn.init.normal_(parameter, std=0.3)
    return backbone


def largest(left, right):
    return ((left - right).abs().max() / right.abs().max()).item()


def test_it_starts_as_the_model_without_adapters():
    backbone = new_backbone()
    before = backbone(*inputs())
    add_adapters(backbone, RANK, ALPHA)
    assert torch.equal(backbone(*inputs()), before)


@pytest.mark.parametrize("changes", [{}, {"tied_directions": False}, {"feed_forward": 24}])
def test_merged_it_is_the_same_model_and_an_ordinary_one(changes):
    plain, backbone = new_backbone(**changes), adapted(**changes)
    expected = backbone(*inputs())
    assert largest(plain(*inputs()), expected) > 1e-3  # else the adapters did nothing
    merge_adapters(backbone)
    assert largest(backbone(*inputs()), expected) < 1e-12
    assert not adapter_parameters(backbone)
    shapes = [{n: t.shape for n, t in m.state_dict().items()} for m in (plain, backbone)]
    assert shapes[0] == shapes[1]
    assert all(parameter.requires_grad for parameter in backbone.parameters())


def test_the_merged_weight_is_the_formula_written_out():
    backbone, plain = adapted(), new_backbone()
    layer = backbone.layers[0].mixer.in_proj
    expected = plain.layers[0].mixer.in_proj.weight.clone()
    for rank in range(RANK):
        expected = expected + ALPHA / RANK * torch.outer(
            layer.lora_up_OR[:, rank], layer.lora_down_RI[rank]
        )
    merge_adapters(backbone)
    assert largest(backbone.layers[0].mixer.in_proj.weight, expected) < 1e-14


def test_only_the_adapters_get_gradients_and_they_are_those_of_the_merged_weight():
    backbone = adapted()
    twin = copy.deepcopy(backbone)
    merge_adapters(twin)
    pull = torch.randn(3, 11, 16, dtype=torch.float64)
    for model in (backbone, twin):
        (model(*inputs()) * pull).sum().backward()
    mine = {id(parameter) for parameter in adapter_parameters(backbone)}
    for parameter in backbone.parameters():
        assert (parameter.grad is not None) == (id(parameter) in mine)
    for layer, merged in zip(backbone.layers, twin.layers, strict=True):
        for name in ("in_proj", "out_proj"):
            adapter = getattr(layer.mixer, name)
            full_OI = getattr(merged.mixer, name).weight.grad * ALPHA / RANK
            assert largest(adapter.lora_up_OR.grad, full_OI @ adapter.lora_down_RI.T) < 1e-10
            assert largest(adapter.lora_down_RI.grad, adapter.lora_up_OR.T @ full_OI) < 1e-10


def test_nothing_of_the_size_of_a_weight_is_kept_for_the_gradient():
    """The graph keeps no weight-sized tensor of its own: only the fixed weights themselves."""
    backbone = adapted()
    weights = {p.data_ptr() for p in backbone.parameters()}
    sizes = {tuple(layer.mixer.in_proj.weight.shape) for layer in backbone.layers}
    kept = []

    def note(tensor):
        if tuple(tensor.shape) in sizes and tensor.data_ptr() not in weights:
            kept.append(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        backbone(*inputs()).sum().backward()
    assert not kept


def test_merging_without_adapters_does_nothing():
    backbone = new_backbone()
    before = copy.deepcopy(backbone.state_dict())
    merge_adapters(backbone)
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())


def test_released_shape_has_few_adapter_weights():
    """36 x 1536 at rank 8: well under 2 % of the parameters."""
    with torch.device("meta"):
        backbone = Backbone(preset("upstream-625m", 60_533))
        whole = sum(parameter.numel() for parameter in backbone.parameters())
        add_adapters(backbone, 8, 16.0)
    share = sum(parameter.numel() for parameter in adapter_parameters(backbone)) / whole
    assert 0.001 < share < 0.02
