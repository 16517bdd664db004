"""The fused kernels in Triton's interpreter: forward and every gradient against double precision, and
what the compiler makes of them for a GPU that is not here.
"""

import pytest
import torch
from tests.ops.mixers import relative

from sc_mamba2.ops import MixerWeights
from sc_mamba2.ops.blocks import scan_in_blocks

pytest.importorskip("triton", reason="needs triton, which has no wheels for this machine")
if torch.cuda.is_available():
    pytest.skip("the interpreter is for machines without a GPU", allow_module_level=True)

from sc_mamba2.ops.fused.path import Launch, scan_fused

HEADS, WIDTH, STATE, CHUNK = 2, 16, 16, 16
INNER = HEADS * WIDTH
CHANNELS = INNER + 2 * STATE
PROJECTED = INNER + CHANNELS + HEADS
ONE_WALK = Launch(chunk=CHUNK, programs=1)
SEGMENTS = Launch(chunk=CHUNK, programs=100, least_chunks=1)
BOUNDS = {torch.float64: 1e-13, torch.float32: 2e-5, torch.bfloat16: 3e-2}
NAMES = ("g", "zxbcdt", "conv_weight", "conv_bias", "dt_bias", "A_log", "D", "norm_weight")


def results(scan, lengths, dtype, reverse, seed=0):
    """Output and gradients, from the same numbers whatever the type."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator).bfloat16()

    weight_type = torch.promote_types(dtype, torch.float32)
    shapes = [(CHANNELS, 1, 4), (CHANNELS,), (HEADS,), (HEADS,), (HEADS,), (INNER,)]
    tensors = [draw(*shape).to(weight_type).requires_grad_() for shape in shapes]
    longest = int((lengths if lengths.dim() == 1 else lengths.sum(1)).max())
    x = draw(len(lengths), longest + 2, PROJECTED).to(dtype)
    x[:, -1] = float("nan")  # whatever a pad holds
    x.requires_grad_()
    y = scan(x, lengths, MixerWeights(*tensors, 1e-5, STATE, WIDTH), reverse)
    towards = draw(*y.shape).to(y.dtype)
    return [y, *torch.autograd.grad(y, [x, *tensors], towards)]


def twin(lengths, reverse):
    def scan(x, *rest):
        return scan_in_blocks(x.nan_to_num(), *rest)

    return results(scan, lengths, torch.float64, reverse)


def fused(lengths, dtype, reverse, launch):
    return results(lambda *given: scan_fused(*given, launch), lengths, dtype, reverse)


@pytest.mark.parametrize(
    ("dtype", "lengths", "reverse", "launch"),
    [
        (torch.float64, [[3, 0, 16, 9]], [False, True], SEGMENTS),  # packed
        (torch.float64, [17, 1], [False, True], ONE_WALK),  # ragged
        (torch.float64, [20], [True], SEGMENTS),
        pytest.param(
            torch.float64, [[3, 0, 16], [1, 9, 5]], [False], ONE_WALK, marks=pytest.mark.slow
        ),
        pytest.param(torch.float32, [33], [False, True], SEGMENTS, marks=pytest.mark.slow),
        (torch.bfloat16, [[9, 4]], [False, True], ONE_WALK),
    ],
)
def test_output_and_every_gradient_are_those_of_double_precision(dtype, lengths, reverse, launch):
    lengths = torch.tensor(lengths)
    found, expected = fused(lengths, dtype, reverse, launch), twin(lengths, reverse)
    apart = {
        name: relative(one.double(), other)
        for name, one, other in zip(NAMES, found, expected, strict=True)
    }
    assert max(apart.values()) < BOUNDS[dtype], apart
    assert found[0].dtype is dtype


def test_no_tokens_are_no_work():
    weights = MixerWeights(*[torch.zeros(INNER)] * 6, 1e-5, STATE, WIDTH)
    assert scan_fused(torch.zeros(0, 5, PROJECTED), torch.zeros(0), weights, [False]).shape == (
        0,
        5,
        INNER,
    )
