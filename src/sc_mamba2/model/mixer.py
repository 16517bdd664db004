"""The Mamba2 mixer in plain torch. Its state dict has the same keys as that of `mamba_ssm`'s `Mamba2`.

One group, gated RMS norm, convolution bias, no projection bias. B cells, L tokens, D width, I inner
width, H heads, N state, E projected width.
"""

import math
from functools import partial

import torch
from torch import Tensor, nn

from sc_mamba2.model.config import ModelConfig
from sc_mamba2.ops import (
    MixerWeights,
    ScanPath,
    Work,
    bidirectional_scan,
    choose_path,
    directional_scan,
    fastest,
    kernel_paths,
    mix_each_direction,
)

_EPS = 1e-5
_SHORTEST_STEP, _LONGEST_STEP, _STEP_FLOOR = 1e-3, 1e-1, 1e-4
_SLOWEST_DECAY, _FASTEST_DECAY = 1.0, 16.0


class GatedNormWeight(nn.Module):
    """Weight of the gated norm, under the key ``norm.weight``; the norm itself is computed in `ops`."""

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

        With `reverse` from the last real token to the first, with outputs in input order.
        `lengths` are the real tokens of each row, (B,), 0 to L; for packed rows see `ops.rows`.
        """
        g_BLI = directional_scan(self.in_proj(x_BLD), lengths, self.weights(), path, reverse)
        mixed_BLD: Tensor = self.out_proj(g_BLI)
        return mixed_BLD

    def both(self, x_BLD: Tensor, lengths: Tensor, path: ScanPath = "auto") -> Tensor:
        """Average both directions, which share the projections; parameters as in `forward`.

        On a GPU "auto" takes the path measured fastest for calls of this shape; see `ops.choice`.
        """
        if path == "auto" and x_BLD.is_cuda:
            path = self._fastest(x_BLD, lengths)
        if path == "twice":
            choose_path(path, x_BLD.device, x_BLD.dtype)
            return mix_each_direction(x_BLD, self.in_proj, self.out_proj, lengths, self.weights())
        g_BLI = bidirectional_scan(self.in_proj(x_BLD), lengths, self.weights(), path)
        mixed_BLD: Tensor = self.out_proj(g_BLI)
        return mixed_BLD

    def _fastest(self, x_BLD: Tensor, lengths: Tensor) -> ScanPath:
        """Measure the paths on these tokens, including gradients if needed."""
        kind = (
            torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else x_BLD.dtype
        )
        training = torch.is_grad_enabled() and any(part.requires_grad for part in self.parameters())
        rows, length, _ = x_BLD.shape
        sizes = (rows, length, self.norm.weight.shape[0], self.d_state, self.head_dim, training)
        work = Work(torch.cuda.get_device_name(x_BLD.device), kind, *sizes)

        def run(name: ScanPath) -> Tensor:
            leaf_BLD = x_BLD.detach().requires_grad_(training)
            y_BLD = self.both(leaf_BLD, lengths, name)
            if training:
                torch.autograd.grad(y_BLD, [leaf_BLD, *self.parameters()], torch.ones_like(y_BLD))
            return y_BLD

        runs = {name: partial(run, name) for name in kernel_paths(x_BLD.device, kind)}
        return fastest(work, partial(run, "blocked"), runs)

    def weights(self) -> MixerWeights:
        """Return the weights between the projections, in the form that `ops` takes."""
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
    """Draw biases whose softplus is log-uniform in 1e-3 to 1e-1, as in `mamba_ssm`."""
    spread = math.log(_LONGEST_STEP) - math.log(_SHORTEST_STEP)
    step_H = torch.exp(torch.rand(heads) * spread + math.log(_SHORTEST_STEP)).clamp(min=_STEP_FLOOR)
    return step_H + torch.log(-torch.expm1(-step_H))
