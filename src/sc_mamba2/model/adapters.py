"""Low-rank adapters (LoRA) on the projections of every mixer: add, merge, list.

They exist during training only: checkpoints hold merged weights.
L tokens, I input width, O output width, R rank.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sc_mamba2.model.backbone import Backbone
from sc_mamba2.model.mixer import Mamba2Mixer

PROJECTIONS = ("in_proj", "out_proj")


class LoRALinear(nn.Linear):
    """A linear layer with a frozen weight and a learnt low-rank update.

    ``y = W x + b + (alpha / R) U (V x)`` with ``V`` (R, I) initialised like a linear layer's weight and
    ``U`` (O, R) at zero, so that it starts identical to the layer it replaces (Hu et al. 2021,
    "LoRA: Low-Rank Adaptation of Large Language Models"). The update is applied to the tokens, never to
    the weight, so no gradient of the weight's size is computed. Weight and bias are shared with the
    original layer, not copied, and frozen.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=False, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        self.requires_grad_(False)
        self.scale = alpha / rank
        inputs, outputs = linear.in_features, linear.out_features
        self.lora_down_RI = nn.Parameter(linear.weight.new_empty(rank, inputs))
        self.lora_up_OR = nn.Parameter(linear.weight.new_zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.lora_down_RI, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Map the last dimension, I to O."""
        change = F.linear(F.linear(x, self.lora_down_RI), self.lora_up_OR * self.scale)
        return super().forward(x) + change

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """Return an ordinary, trainable layer with the update added to its weight."""
        linear = nn.Linear(self.in_features, self.out_features, bias=False, device="meta")
        change_OI = self.scale * (self.lora_up_OR @ self.lora_down_RI)
        linear.weight = nn.Parameter(self.weight + change_OI)
        linear.bias = self.bias
        linear.requires_grad_(True)
        return linear.train(self.training)


def add_adapters(backbone: Backbone, rank: int, alpha: float) -> None:
    """Freeze a backbone's weights and add adapters to its mixers' projections, in place.

    Directions that share a mixer share its adapters. The update, of this rank, is scaled by
    ``alpha / rank``.
    """
    assert not adapter_parameters(backbone), "one set of adapters at a time"
    backbone.requires_grad_(False)
    for mixer in _mixers(backbone):
        for name in PROJECTIONS:
            setattr(mixer, name, LoRALinear(getattr(mixer, name), rank, alpha))


def merge_adapters(backbone: Backbone) -> None:
    """Merge the adapters into the weights and remove them, in place.

    The whole backbone is trainable afterwards. Does nothing without adapters.
    """
    if not adapter_parameters(backbone):
        return
    for mixer in _mixers(backbone):
        for name in PROJECTIONS:
            setattr(mixer, name, getattr(mixer, name).merged())
    backbone.requires_grad_(True)


def adapter_parameters(backbone: Backbone) -> list[nn.Parameter]:
    """Return the adapters' parameters, if any."""
    adapters = [module for module in backbone.modules() if isinstance(module, LoRALinear)]
    return [weight for a in adapters for weight in (a.lora_down_RI, a.lora_up_OR)]


def _mixers(backbone: Backbone) -> list[Mamba2Mixer]:
    return [module for module in backbone.modules() if isinstance(module, Mamba2Mixer)]
