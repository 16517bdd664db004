"""A running mean of a model's weights, which is often the better model to keep."""

import torch
from torch import Tensor, nn


class MovingAverage:
    """``mean <- decay mean + (1 - decay) weights``, in the precision of the weights.

    Parameters
    ----------
    model
        Whose weights, on this process.
    decay
        A step; 0 keeps nothing.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state: dict[str, Tensor] = {}
        if decay:
            self.state = {name: part.detach().clone() for name, part in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the weights of one step in."""
        if self.decay:
            for name, part in model.named_parameters():
                self.state[name].lerp_(part.detach(), 1 - self.decay)
