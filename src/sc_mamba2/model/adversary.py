"""Domain adaptation by an adversary: gradient reversal, and the head that tells batches apart.

Ganin et al. 2016, "Domain-adversarial training of neural networks". B cells, E width of a cell
embedding, K batches.
"""

from typing import Any

import torch
from torch import Tensor, nn

HIDDEN_LAYERS = 2


class GradientReversal(torch.autograd.Function):
    """The identity, whose gradient is ``-strength`` times the one that comes back."""

    @staticmethod
    def forward(context: Any, x: Tensor, strength: float) -> Tensor:
        """Return `x` unchanged."""
        context.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Turn the gradient around."""
        return -context.strength * gradient, None


def reverse_gradient(x: Tensor, strength: float = 1.0) -> Tensor:
    """Return `x`; what lies before it is trained to make worse what lies behind it better.

    Parameters
    ----------
    x
        Any shape.
    strength
        Factor of the turned gradient, not negative; 0 stops it.
    """
    turned: Tensor = GradientReversal.apply(x, strength)
    return turned


class BatchDiscriminator(nn.Module):
    """Tells from a cell embedding which batch the cell is of, behind gradient reversal.

    Parameters
    ----------
    cell_width
        Width E of a cell embedding.
    n_batches
        Batches K.
    hidden
        Width of its two hidden layers.
    """

    def __init__(self, cell_width: int, n_batches: int, hidden: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential()
        width = cell_width
        for _ in range(HIDDEN_LAYERS):
            self.layers.extend([nn.Linear(width, hidden), nn.LeakyReLU(), nn.LayerNorm(hidden)])
            width = hidden
        self.out_layer = nn.Linear(width, n_batches)

    def forward(self, cell_BE: Tensor, strength: float = 1.0) -> Tensor:
        """Compute logits of the batches, (B, E) to (B, K); the gradient that leaves is reversed."""
        logits_BK: Tensor = self.out_layer(self.layers(reverse_gradient(cell_BE, strength)))
        return logits_BK
