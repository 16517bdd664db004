"""A running mean of a model's weights, which is often the better model to keep."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """``mean <- d mean + (1 - d) weights``, in the precision of the weights.

    ``d = min(decay, (1 + t) / (10 + t))`` at step t: the random start is soon forgotten.

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
    def update(self, model: nn.Module, step: int) -> None:
        """Take the weights after step t = `step` in, counted from 0."""
        if self.decay:
            decay = min(self.decay, (1 + step) / (10 + step))
            for name, part in model.named_parameters():
                self.state[name].lerp_(part.detach(), 1 - decay)

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a stored mean."""
        for name, part in self.state.items():
            part.copy_(state[name])

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """Let the model have the mean as its weights for a while; nothing where none is kept."""
        own = {}
        if self.state:
            own = {name: part.detach().clone() for name, part in model.named_parameters()}
        self._give(model, self.state)
        try:
            yield
        finally:
            self._give(model, own)

    @torch.no_grad()
    def _give(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        for name, part in model.named_parameters():
            if name in state:
                part.copy_(state[name])
