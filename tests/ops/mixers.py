"""Small mixers in double precision for the tests of the scan."""

import torch

from sc_mamba2.ops import MixerWeights

HEADS, WIDTH, STATE = 2, 4, 6
INNER = HEADS * WIDTH
CHANNELS = INNER + 2 * STATE
PROJECTED = INNER + CHANNELS + HEADS
NAMES = ("zxbcdt", "conv_weight", "conv_bias", "dt_bias", "A_log", "D", "norm_weight")
RAGGED = ([70, 70], [70, 1, 33, 0, 69], [130, 64, 65, 129], [700])
PACKED = ([[3, 0, 50], [20, 60, 1]], [[0, 0], [1, 2]], [[64, 64, 5], [1, 1, 1]])


def mixer_tensors(seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    shapes = [(CHANNELS, 1, 4), (CHANNELS,), (HEADS,), (HEADS,), (HEADS,), (INNER,)]
    return [torch.randn(s, dtype=dtype, generator=generator).requires_grad_() for s in shapes]


def weights_of(tensors):
    return MixerWeights(*tensors, 1e-5, STATE, WIDTH)


def rows_for(lengths, seed=1, pads=3, width=PROJECTED, dtype=torch.float64):
    """Rows that hold the cells and a few pads, (B, L, width)."""
    longest = int((lengths if lengths.dim() == 1 else lengths.sum(1)).max())
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(len(lengths), longest + pads, width, dtype=dtype, generator=generator)


def relative(found, expected):
    found, expected = found.detach(), expected.detach()
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-300))
