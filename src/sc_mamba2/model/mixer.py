"""The Mamba2 mixer in plain torch. Its state dict is that of `mamba_ssm`'s `Mamba2`, key for key.

One group, gated RMS norm, convolution bias, no projection bias. B cells, L tokens, D width, I inner
width, H heads, N state, E projected width.
"""

import math

import torch
from torch import Tensor, nn

from sc_mamba2.model.config import ModelConfig
from sc_mamba2.ops import MixerWeights, ScanPath, bidirectional_scan, directional_scan

_EPS = 1e-5
_SHORTEST_STEP, _LONGEST_STEP, _STEP_FLOOR = 1e-3, 1e-1, 1e-4
_SLOWEST_DECAY, _FASTEST_DECAY = 1.0, 16.0


class GatedNormWeight(nn.Module):
    """Holder of the gated norm's weight, so that its key is ``norm.weight``; `ops` computes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class Mamba2Mixer(nn.Module):
    """One Mamba2 mixer, run in one direction (`forward`) or in both with shared weights (`both`)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        inner, heads, state = config.d_inner, config.n_heads, config.d_state
        channels = inner + 2 * state
        self.d_state, self.head_dim = state, config.head_dim
        self.in_proj = nn.Linear(config.d_model, inner + channels + heads, bias=False)
        self.conv1d = nn.Conv1d(channels, channels, config.d_conv, groups=channels)
        self.dt_bias = nn.Parameter(_fresh_dt_bias(heads))
        self.A_log = nn.Parameter(torch.empty(heads).uniform_(_SLOWEST_DECAY, _FASTEST_DECAY).log())
        self.D = nn.Parameter(torch.ones(heads))
        self.norm = GatedNormWeight(inner)
        self.out_proj = nn.Linear(inner, config.d_model, bias=False)
        with torch.no_grad():
            self.out_proj.weight /= math.sqrt(config.n_layers)

    def forward(
        self, x_BLD: Tensor, lengths: Tensor, path: ScanPath = "auto", reverse: bool = False
    ) -> Tensor:
        """Mix the real tokens of right-padded rows in one direction, (B, L, D); zero at pads.

        In `reverse` from the last real token to the first, the output in the order of the input.
        `lengths` are the real tokens of each row, (B,), 0 to L; of packed rows see `ops.rows`.
        """
        g_BLI = directional_scan(self.in_proj(x_BLD), lengths, self.weights(), path, reverse)
        mixed_BLD: Tensor = self.out_proj(g_BLI)
        return mixed_BLD

    def both(self, x_BLD: Tensor, lengths: Tensor, path: ScanPath = "auto") -> Tensor:
        """Average both directions, projections done once; parameters as in `forward`."""
        g_BLI = bidirectional_scan(self.in_proj(x_BLD), lengths, self.weights(), path)
        mixed_BLD: Tensor = self.out_proj(g_BLI)
        return mixed_BLD

    def weights(self) -> MixerWeights:
        """Give what stands between the projections to `ops`."""
        assert self.conv1d.bias is not None
        return MixerWeights(
            self.conv1d.weight,
            self.conv1d.bias,
            self.dt_bias,
            self.A_log,
            self.D,
            self.norm.weight,
            _EPS,
            self.d_state,
            self.head_dim,
        )


def _fresh_dt_bias(heads: int) -> Tensor:
    """Biases whose softplus is log-uniform in 1e-3 to 1e-1, as in `mamba_ssm`."""
    spread = math.log(_LONGEST_STEP) - math.log(_SHORTEST_STEP)
    step_H = torch.exp(torch.rand(heads) * spread + math.log(_SHORTEST_STEP)).clamp(min=_STEP_FLOOR)
    return step_H + torch.log(-torch.expm1(-step_H))
