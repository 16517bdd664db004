"""The fused path as one autograd function that launches the kernels. B rows, L tokens, I inner width, W
directions, H heads, P head dim, N state, C channels, E projected width, Q tokens of a chunk, G segments.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from sc_mamba2.ops.fused.convolution import convolution_backward_kernel, convolution_kernel
from sc_mamba2.ops.fused.norm import norm_backward_kernel, norm_kernel
from sc_mamba2.ops.fused.scan import scan_backward_kernel, scan_kernel
from sc_mamba2.ops.rows import tokens_near
from sc_mamba2.ops.weights import MixerWeights, at_least_single

_NORM_PROGRAMS = 1024
_CONVOLUTION_TILE = 64  # tokens and channels
_TYPES = {torch.float64: tl.float64, torch.float32: tl.float32, torch.bfloat16: tl.bfloat16}
_TYPES[torch.float16] = tl.float16


class Launch(NamedTuple):
    """Launch parameters of the scan; they change the speed, and the result only by rounding.

    Attributes
    ----------
    chunk
        Tokens of a chunk, a power of two, at least 16. At 64 the gradient spills 0.5 KB per thread on Hopper;
        32 avoids that but keeps twice as many states.
    warps
        Warps per program of the scan; 4 have too few registers.
    programs
        Rows are cut into segments to reach about this many programs.
    least_chunks
        Fewest chunks of a segment.
    """

    chunk: int = 64
    warps: int = 8
    programs: int = 512
    least_chunks: int = 4


def scan_fused(
    zxbcdt_BLE: Tensor,
    lengths: Tensor,
    weights: MixerWeights,
    reverse: Sequence[bool],
    launch: Launch = Launch(),  # noqa: B008  (never changes)
) -> Tensor:
    """Run a mixer between its projections in one or both directions and average, (B, L, I), zero at pads.

    Parameters as in `blocks.scan_in_blocks`; differentiable once. Head dim and state must be powers of two,
    at least 16.
    """
    if not zxbcdt_BLE.numel():
        return zxbcdt_BLE[..., : weights.inner]
    near_2BL = tokens_near(lengths, zxbcdt_BLE.shape[1])
    tensors = [part for part in weights if isinstance(part, Tensor)]
    # Inside the autograd function grad mode is always off.
    training = torch.is_grad_enabled() and any(one.requires_grad for one in (zxbcdt_BLE, *tensors))
    shape = _shape(zxbcdt_BLE, weights, reverse, launch, training)
    g_BLI: Tensor = _FusedScan.apply(shape, zxbcdt_BLE.contiguous(), near_2BL, *tensors)
    return g_BLI


class _Shape(NamedTuple):
    """Sizes of one call, and its computation types."""

    ways: int
    first_way: int  # 1 if the only direction is the reverse one
    rows: int
    length: int
    heads: int
    head_dim: int
    state: int
    taps: int
    segments: int
    launch: Launch
    eps: float
    sums: torch.dtype  # type of states and sums
    products: torch.dtype  # type of the operands of matrix products
    training: bool

    @property
    def inner(self) -> int:
        return self.heads * self.head_dim

    @property
    def channels(self) -> int:
        return self.inner + 2 * self.state

    @property
    def tile(self) -> int:
        """Channels and tokens of a tile of the convolution."""
        return min(self.head_dim, self.state, _CONVOLUTION_TILE)

    @property
    def tiles(self) -> tuple[int, int, int]:
        """Number of tiles of channels, of tiles of a row's tokens, and of rows."""
        return self.channels // self.tile, -(-self.length // self.tile), self.rows

    @property
    def chunks(self) -> int:
        return -(-self.length // self.launch.chunk)

    def states(self, like: Tensor, parts: int, dtype: torch.dtype) -> Tensor:
        """Allocate one state per part of a row, (W, B, H, parts, P, N)."""
        size = (self.ways, self.rows, self.heads, parts, self.head_dim, self.state)
        return like.new_empty(size, dtype=dtype)

    def scan(self) -> dict[str, Any]:
        """Return the size and type arguments of both scan kernels."""
        sizes = {"H": self.heads, "P": self.head_dim, "N": self.state, "Q": self.launch.chunk}
        sizes["num_warps"], sizes["num_stages"] = self.launch.warps, 1  # more stages do not fit
        return sizes | {"ACC": _TYPES[self.sums], "DOT": _TYPES[self.products]}

    def convolution(self) -> dict[str, Any]:
        """Return the size and type arguments of both convolution kernels."""
        tile = {"F": self.tile, "Q": self.tile, "num_warps": 8}
        return tile | {
            "WAYS": self.ways,
            "C": self.channels,
            "K": self.taps,
            "ACC": _TYPES[self.sums],
        }

    def walk(self) -> tuple[int, int, int, int]:
        """Return tokens of a row, segments, chunks of a segment, first direction."""
        return self.length, self.segments, -(-self.chunks // self.segments), self.first_way

    def grid(self) -> tuple[int, int, int]:
        return self.heads, self.rows, self.ways * self.segments


def _shape(
    zxbcdt_BLE: Tensor,
    weights: MixerWeights,
    reverse: Sequence[bool],
    launch: Launch,
    training: bool,
) -> _Shape:
    rows, length, _ = zxbcdt_BLE.shape
    heads, head_dim = weights.inner // weights.head_dim, weights.head_dim
    chunks = -(-length // launch.chunk)
    wanted = launch.programs // (rows * heads * len(reverse))
    segments = max(1, min(wanted, chunks // launch.least_chunks))
    segments = -(-chunks // -(-chunks // segments))  # none of them empty
    sums = at_least_single(zxbcdt_BLE)
    # The interpreter cannot multiply in half precision.
    products = zxbcdt_BLE.dtype if isinstance(scan_kernel, triton.JITFunction) else sums
    taps = weights.conv_weight.shape[-1]
    sizes = (rows, length, heads, head_dim, weights.d_state, taps, segments, launch)
    return _Shape(len(reverse), int(reverse[0]), *sizes, weights.eps, sums, products, training)


def _entering(added: Tensor, through: Tensor, backwards: bool) -> Tensor:
    """Return the state entering each segment, from the state each adds and the share each lets through."""
    entering = torch.zeros_like(added)
    order = list(range(added.shape[3]))
    for before, after in pairwise(order[::-1] if backwards else order):
        passed = through[..., before, None, None] * entering[:, :, :, before]
        entering[:, :, :, after] = added[:, :, :, before] + passed
    return entering


class _FusedScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, shape: _Shape, zxbcdt: Tensor, near: Tensor, *tensors: Tensor) -> Tensor:
        *mixing, norm_weight = tensors
        y = zxbcdt.new_empty(shape.ways, shape.rows, shape.length, shape.inner)
        conv_weight, conv_bias, *of_scan = (part.contiguous() for part in mixing)
        xBC = _convolve(shape, zxbcdt, near, conv_weight, conv_bias)
        given = (xBC, zxbcdt[..., -shape.heads :], near, *of_scan)
        none = zxbcdt.new_empty(0, dtype=shape.sums)
        borders, entering, added, through = none, none, none, none
        walk, scan = shape.walk(), shape.scan()
        if shape.segments > 1:
            added = shape.states(zxbcdt, shape.segments, shape.sums)
            through = added.new_empty(added.shape[:4])
            states = (y, borders, entering, added, through)
            how = {"OUTPUT": False, "KEEP": False, "ENTERING": False}
            scan_kernel[shape.grid()](*given, *states, *walk, **how, **scan)
            entering = _entering(added, through, backwards=False)
        if shape.training:
            borders = shape.states(zxbcdt, shape.chunks, zxbcdt.dtype)
        states = (y, borders, entering, added, through)
        how = {"OUTPUT": True, "KEEP": shape.training, "ENTERING": shape.segments > 1}
        scan_kernel[shape.grid()](*given, *states, *walk, **how, **scan)
        g = zxbcdt.new_empty(shape.rows, shape.length, shape.inner)
        tokens = shape.rows * shape.length
        norm_kernel[(tokens,)](
            zxbcdt, near, y, norm_weight, g, tokens, zxbcdt.shape[-1], shape.eps, **_norm(shape)
        )
        ctx.shape = shape
        ctx.save_for_backward(zxbcdt, near, *tensors, y, borders)
        return g

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        shape: _Shape = ctx.shape
        zxbcdt, near, *tensors, y, borders = ctx.saved_tensors
        *mixing, norm_weight = tensors
        conv_weight, conv_bias, *of_scan = (part.contiguous() for part in mixing)
        xBC = _convolve(shape, zxbcdt, near, conv_weight, conv_bias)
        given = (xBC, zxbcdt[..., -shape.heads :], near, *of_scan)
        ways, rows, length, inner = y.shape
        width, tokens, state = zxbcdt.shape[-1], rows * length, shape.state
        dzxbcdt = torch.empty_like(zxbcdt)
        dy = torch.empty_like(y)
        together = -(-tokens // _NORM_PROGRAMS)
        dnorm = y.new_empty(-(-tokens // together), inner, dtype=shape.sums)
        norm_backward_kernel[(len(dnorm),)](
            zxbcdt, near, y, norm_weight, gradients[0].contiguous(), dzxbcdt, dy, dnorm,
            tokens, together, width, shape.eps, **_norm(shape),
        )  # fmt: skip

        dout = y.new_empty(ways, rows, length, shape.channels)
        dBC = y.new_empty(ways, rows, length, shape.heads, 2 * state)
        ddt = y.new_empty(ways, rows, length, shape.heads, dtype=shape.sums)
        dA, dD = ddt.new_empty(2, ways, rows, shape.heads, shape.segments)
        entering, added, through = ddt.new_empty(3, 0)
        walk, scan = shape.walk(), shape.scan()
        if shape.segments > 1:
            added = shape.states(zxbcdt, shape.segments, shape.sums)
            through = added.new_empty(added.shape[:4])
            results = (entering, added, through, dout, dBC, ddt, dA, dD)
            scan_backward_kernel[shape.grid()](
                *given, borders, dy, *results, *walk, OUTPUT=False, ENTERING=False, **scan
            )
            entering = _entering(added, through, backwards=True)
        results = (entering, added, through, dout, dBC, ddt, dA, dD)
        scan_backward_kernel[shape.grid()](
            *given, borders, dy, *results, *walk, OUTPUT=True, ENTERING=shape.segments > 1, **scan
        )
        torch.sum(dBC, 3, out=dout[..., inner:])
        ddt_BLH = ddt.sum(0)
        dzxbcdt[..., -shape.heads :] = ddt_BLH

        dtaps = ddt.new_empty(ways, rows, shape.tiles[1], shape.taps + 1, shape.channels)
        convolution_backward_kernel[shape.tiles](
            zxbcdt[..., inner:], near, conv_weight, conv_bias, dout, dzxbcdt[..., inner:], dtaps,
            rows, length, shape.first_way, width, **shape.convolution(),
        )  # fmt: skip
        taps = dtaps.sum((0, 1, 2))
        found = [taps[:-1].T.unsqueeze(1), taps[-1], ddt_BLH.sum((0, 1))]
        found += [dA.sum((0, 1, 3)), dD.sum((0, 1, 3)), dnorm.sum(0)]
        typed = [part.to(tensor.dtype) for part, tensor in zip(found, tensors, strict=True)]
        return None, dzxbcdt, None, *typed


def _convolve(shape: _Shape, zxbcdt: Tensor, near: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Convolve x, B and C in every direction, (W, B, L, C)."""
    xBC = zxbcdt.new_empty(shape.ways, shape.rows, shape.length, shape.channels)
    convolution_kernel[shape.tiles](
        zxbcdt[..., shape.inner :], near, weight, bias, xBC,
        shape.rows, shape.length, shape.first_way, zxbcdt.shape[-1], **shape.convolution(),
    )  # fmt: skip
    return xBC


def _norm(shape: _Shape) -> dict[str, Any]:
    wide = triton.next_power_of_2(shape.inner)
    return {"WAYS": shape.ways, "INNER": shape.inner, "J": wide, "ACC": _TYPES[shape.sums]}
