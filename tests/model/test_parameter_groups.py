"""Weight decay falls on matrices only, and frozen parameters are left out."""

import torch

from sc_mamba2.model import Backbone, TaskModel, preset


class Probe(TaskModel):
    """A task model with no head."""

    task = "probe"

    def settings(self):
        return {}

    @classmethod
    def from_settings(cls, backbone, tokenizer, settings):
        return cls(backbone, tokenizer)

    def targets(self, obs):
        return {}

    def loss(self, batch, targets):
        return torch.zeros(())

    def predict(self, batch):
        return {}


def probe():
    return Probe(Backbone(preset("micro", 9)), None)


def names(model, group):
    by_id = {id(parameter): name for name, parameter in model.named_parameters()}
    return {by_id[id(parameter)] for parameter in group["params"]}


def test_matrices_decay_and_vectors_do_not():
    model = probe()
    decayed, plain = model.parameter_groups(1e-3, 0.1)
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    assert decayed["lr"] == plain["lr"] == 1e-3
    first = "backbone.layers.0.mixer."
    assert {first + "in_proj.weight", first + "conv1d.weight"} <= names(model, decayed)
    vectors = {"A_log", "D", "dt_bias", "norm.weight", "conv1d.bias"}
    assert {first + vector for vector in vectors} <= names(model, plain)
    everything = {name for name, _ in model.named_parameters()}
    assert names(model, decayed) | names(model, plain) == everything
    torch.optim.AdamW(model.parameter_groups(1e-3, 0.1))


def test_frozen_parameters_are_left_out():
    model = probe()
    model.requires_grad_(False)
    assert model.parameter_groups(1e-3, 0.1) == []
    model.backbone.final_norm.weight.requires_grad_(True)
    (group,) = model.parameter_groups(1e-3, 0.1)
    assert names(model, group) == {"backbone.final_norm.weight"}
