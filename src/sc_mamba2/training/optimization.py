"""Learning-rate schedule, running mean of the weights, and the optimizer's state as flat tensors."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def rate_factor(step: int, steps: int, warmup_share: float, final_share: float) -> float:
    """Return the factor on the peak learning rate: linear warm-up, then cosine decay.

    Parameters
    ----------
    step, steps
        The step, from 0, and the number of steps.
    warmup_share, final_share
        Share of warm-up steps, and the factor at the end; 0 to 1.
    """
    warmup = max(1, round(warmup_share * steps))
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return final_share + (1 - final_share) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


class MovingAverage:
    """Running mean of a model's weights: ``mean <- d mean + (1 - d) weights``, in their precision.

    ``d = min(decay, (1 + t) / (10 + t))`` at step t, so the random start is soon forgotten. No mean is kept
    for a `decay` of 0.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state: dict[str, Tensor] = {}
        if decay:
            self.state = {name: part.detach().clone() for name, part in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Update the mean with the weights after step t = `step`, counted from 0."""
        if self.decay:
            decay = min(self.decay, (1 + step) / (10 + step))
            for name, part in model.named_parameters():
                self.state[name].lerp_(part.detach(), 1 - decay)

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore a stored mean."""
        for name, part in self.state.items():
            part.copy_(state[name])

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """Use the mean as the model's weights within the context; no effect without a mean."""
        if not self.state:
            yield
            return
        own = {name: part.detach().clone() for name, part in model.named_parameters()}
        model.load_state_dict(self.state, strict=False)
        try:
            yield
        finally:
            model.load_state_dict(own, strict=False)


def flatten_optimizer(state_dict: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split the state of an optimizer into tensors and a JSON-serialisable rest.

    Parameters
    ----------
    state_dict
        By parameter name, as returned by `torch.distributed.checkpoint.state_dict.get_optimizer_state_dict`:
        ``{"state": {name: {"exp_avg": …}}, "param_groups": [{"params": [name], …}]}``.

    Returns
    -------
    tensors, table
        ``{"encoder.weight.exp_avg": …}``, not copied; and the groups with their rates and the other
        entries of the state.
    """
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, dict[str, Any]] = {}
    for parameter, state in state_dict["state"].items():
        for entry, value in state.items():
            assert "." not in entry
            if isinstance(value, Tensor):
                tensors[f"{parameter}.{entry}"] = value
            else:
                scalars.setdefault(parameter, {})[entry] = value
    groups = [dict(group) for group in state_dict["param_groups"]]
    return tensors, {"param_groups": groups, "scalars": scalars}


def unflatten_optimizer(tensors: Mapping[str, Tensor], table: Mapping[str, Any]) -> dict[str, Any]:
    """Invert `flatten_optimizer`, also after a JSON round trip."""
    state: dict[str, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        parameter, entry = name.rsplit(".", 1)
        state.setdefault(parameter, {})[entry] = tensor
    for parameter, entries in table["scalars"].items():
        state.setdefault(parameter, {}).update(entries)
    groups = [  # JSON has no tuples
        {key: tuple(value) if key == "betas" else value for key, value in group.items()}
        for group in table["param_groups"]
    ]
    return {"state": state, "param_groups": groups}
