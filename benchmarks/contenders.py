"""What the scan is timed against: one layer each, from (1, L, width) to (1, L, width).

Written for comparison, not for use: the plain mixer is what one gets by writing down the chunked
form; the attention layer has as many parameters as one of our mixers.
"""

import contextlib
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from sc_mamba2.model import Mamba2Mixer, preset

Layer = Callable[[Tensor], Tensor]


class Ours(nn.Module):
    """Both directions with shared projections; `twice` runs our own mixer once a direction."""

    def __init__(self, mixer: Mamba2Mixer, twice: bool = False) -> None:
        super().__init__()
        self.mixer, self.twice = mixer, twice

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Mix."""
        lengths = torch.full((len(x_BLD),), x_BLD.shape[1])
        if not self.twice:
            return self.mixer.both(x_BLD, lengths)
        back_BLD: Tensor = self.mixer(x_BLD, lengths, reverse=True)
        return (self.mixer(x_BLD, lengths) + back_BLD) / 2


class Projections(nn.Module):
    """`in_proj` and `out_proj` once, nothing between: the floor."""

    def __init__(self, mixer: Mamba2Mixer) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Project."""
        inner = self.mixer.out_proj.in_features
        return self.mixer.out_proj(self.mixer.in_proj(x_BLD)[..., :inner])


class PlainTwice(nn.Module):
    """A mixer in plain torch, chunk 64, whole arrays, autograd; run, flip, run, flip, average."""

    def __init__(self, mixer: Mamba2Mixer, chunk: int = 64) -> None:
        super().__init__()
        self.mixer, self.chunk = mixer, chunk

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Mix."""
        return (self._once(x_BLD) + self._once(x_BLD.flip(1)).flip(1)) / 2

    def _once(self, x_BLD: Tensor) -> Tensor:
        mixer, weights = self.mixer, self.mixer.weights()
        z, xBC, dt = mixer.in_proj(x_BLD).split(weights.parts, dim=-1)
        taps = mixer.conv1d.kernel_size[0]
        convolved = mixer.conv1d(functional.pad(xBC.mT, (taps - 1, 0)))
        x, B, C = functional.silu(convolved).mT.split(
            [weights.inner, mixer.d_state, mixer.d_state], dim=-1
        )
        dt = functional.softplus(dt + mixer.dt_bias)
        y = self._chunked(x.unflatten(-1, (-1, mixer.head_dim)), dt, B, C).flatten(2)
        gated = y * functional.silu(z)
        return mixer.out_proj(
            functional.rms_norm(gated, (weights.inner,), mixer.norm.weight, weights.eps)
        )

    def _chunked(self, x: Tensor, dt: Tensor, B: Tensor, C: Tensor) -> Tensor:
        length = x.shape[1]
        tail = -length % self.chunk
        cut = [
            functional.pad(part, (0, 0) * (part.dim() - 2) + (0, tail)).unflatten(
                1, (-1, self.chunk)
            )
            for part in (x * dt.unsqueeze(-1), dt * -self.mixer.A_log.exp(), B, C)
        ]
        v, a, B, C = cut  # (1, Z, c, H, P), (1, Z, c, H), (1, Z, c, N) twice
        s = a.cumsum(2).transpose(2, 3)  # (1, Z, H, c)
        future = torch.full((self.chunk, self.chunk), -math.inf).triu(1)
        decay = (s.unsqueeze(-1) - s.unsqueeze(-2) + future).exp()
        mixing = decay * (C @ B.mT).unsqueeze(2)
        v = v.transpose(2, 3)  # (1, Z, H, c, P)
        within = mixing @ v
        added = B.mT.unsqueeze(2) @ (v * (s[..., -1:] - s).exp().unsqueeze(-1))
        state, states = torch.zeros_like(added[:, 0]), []
        for z in range(added.shape[1]):
            states.append(state)
            state = state * s[:, z, :, -1].exp()[..., None, None] + added[:, z]
        read = C.unsqueeze(2) @ torch.stack(states, dim=1) * s.exp().unsqueeze(-1)
        y = (within + read).transpose(2, 3).flatten(1, 2)[:, :length]
        return y + x * self.mixer.D[:, None]


class TransformersTwice(nn.Module):
    """The mixer of `transformers`, its default chunk of 256, with our weights, in both directions."""

    def __init__(self, mixer: Mamba2Mixer) -> None:
        super().__init__()
        from transformers.models.mamba2 import Mamba2Config
        from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer as TheirMixer

        width = mixer.in_proj.in_features
        config = Mamba2Config(
            hidden_size=width,
            num_heads=len(mixer.D),
            head_dim=mixer.head_dim,
            state_size=mixer.d_state,
            expand=mixer.out_proj.in_features // width,
            n_groups=1,
            layer_norm_epsilon=1e-5,
            time_step_limit=(0.0, math.inf),
        )
        self.mixer = TheirMixer(config, layer_idx=0)
        self.mixer.load_state_dict(mixer.state_dict())

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Mix."""
        return (self.mixer(x_BLD) + self.mixer(x_BLD.flip(1)).flip(1)) / 2


class Attention(nn.Module):
    """A pre-norm transformer layer over torch's `scaled_dot_product_attention`, heads of 64.

    Parameters
    ----------
    width
        Width of a token.
    parameters
        How many the layer should have; the feed forward is as wide as that allows.
    matrix
        Whether the matrix of all pairs is written down, as the first attention models did.
    """

    def __init__(self, width: int, parameters: int, matrix: bool = False) -> None:
        super().__init__()
        self.heads, self.matrix = width // 64, matrix
        hidden = max(1, (parameters - 4 * width * width) // (2 * width))
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(2))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.feed = nn.Sequential(
            nn.Linear(width, hidden, bias=False), nn.GELU(), nn.Linear(hidden, width, bias=False)
        )

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Attend."""
        heads = self.qkv(self.norms[0](x_BLD)).unflatten(-1, (3, self.heads, -1))
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        if self.matrix:
            seen = torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), dim=-1) @ v
        else:
            seen = functional.scaled_dot_product_attention(q, k, v)
        x_BLD = x_BLD + self.out(seen.transpose(1, 2).flatten(2))
        return x_BLD + self.feed(self.norms[1](x_BLD))


def contenders(width: int = 512) -> dict[str, nn.Module]:
    """Build one layer of each kind, of `width`, with the same weights where there can be."""
    torch.manual_seed(0)
    mixer = Mamba2Mixer(preset("base", 9, d_model=width))
    parameters = sum(parameter.numel() for parameter in mixer.parameters())
    built: dict[str, nn.Module] = {
        "proj": Projections(mixer),
        "ours": Ours(mixer),
        "ours twice": Ours(mixer, twice=True),
        "plain twice": PlainTwice(mixer),
        "attention": Attention(width, parameters),
    }
    with contextlib.suppress(ImportError):
        built["transformers twice"] = TransformersTwice(mixer)
    return built
