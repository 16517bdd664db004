"""What memory this process has taken, and what a training holds beside its batches."""

import resource
import sys

import torch
from torch import nn


def peak_bytes(device: torch.device) -> int:
    """Return the most memory that this process has held: of the GPU where `device` is one."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def state_bytes(model: nn.Module) -> int:
    """Return what a training with AdamW holds for all of its length, in bytes.

    The weights, and for those that are trained a gradient and two moments of the same size.
    """
    return sum(
        weight.numel() * weight.element_size() * (4 if weight.requires_grad else 1)
        for weight in model.parameters()
    )
