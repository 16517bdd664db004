"""The weights of a mixer between its two projections, as `ops` takes them."""

from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor


class MixerWeights(NamedTuple):
    """Weights and shape of a mixer with one group.

    H heads, P head dim, N state, I = H P inner width, K taps.
    """

    conv_weight: Tensor  # (I + 2 N, 1, K)
    conv_bias: Tensor  # (I + 2 N)
    dt_bias: Tensor  # (H)
    A_log: Tensor  # (H)
    D: Tensor  # (H)
    norm_weight: Tensor  # (I)
    eps: float
    d_state: int
    head_dim: int

    @property
    def inner(self) -> int:
        """Inner width I."""
        return self.norm_weight.shape[0]

    @property
    def parts(self) -> list[int]:
        """Widths, in the output of `in_proj`, of z, of x, B and C together, and of dt."""
        return [self.inner, self.conv_bias.shape[0], self.dt_bias.shape[0]]

    @property
    def states(self) -> list[int]:
        """Widths of x, B and C."""
        return [self.inner, self.d_state, self.d_state]


def at_least_single(*tensors: Tensor) -> torch.dtype:
    """Return the type to compute the scan in: single or double, since half precision is only for storage."""
    return reduce(torch.promote_types, (part.dtype for part in tensors), torch.float32)
