"""Convolution and SiLU of x, B and C, and their gradient: both directions in one pass over the input.

Within the scan's kernels the taps would need too many registers (1 to 3 KB spilled per thread, by the
compiler's count for Hopper), and every head would repeat the convolution of B and C.

W directions, B rows, L tokens, C channels, Q tokens and F channels of a tile, K taps.
"""

import triton
import triton.language as tl

from sc_mamba2.ops.fused.tiles import read, write


@triton.jit
def _before_silu(
    x_ptr, weight_ptr, bias_ptr, at_Q, before_Q, step, stride, channel_W, K: tl.constexpr, ACC: tl.constexpr
):  # fmt: skip
    """Convolve channels over the last K tokens of each token's cell, (Q, W).

    ``u_t = bias + sum_k w_k x_(t - (K - 1 - k))``; `x_ptr` points at the first channel of row 0.
    """
    u_QW = tl.load(bias_ptr + channel_W).to(ACC)[None, :]
    for back in tl.static_range(K):
        w_W = tl.load(weight_ptr + channel_W * K + (K - 1 - back)).to(ACC)
        x_QW = read(x_ptr, at_Q - back * step, before_Q >= back, stride, channel_W).to(ACC)
        u_QW = u_QW + w_W[None, :] * x_QW
    return u_QW


@triton.jit(do_not_specialize=["rows", "L", "first_way"])
def convolution_kernel(
    xBC_ptr, near_ptr, weight_ptr, bias_ptr, out_ptr, rows, L, first_way, stride,
    WAYS: tl.constexpr, C: tl.constexpr, F: tl.constexpr, Q: tl.constexpr, K: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Convolve a tile of xBC, whose tokens are `stride` apart, into out (W, B, L, C), zero at pads."""
    tile, row = tl.program_id(1), tl.program_id(2).to(tl.int64)
    channel_F = tl.program_id(0) * F + tl.arange(0, F)
    t_Q = tile * Q + tl.arange(0, Q)
    here_Q, at_Q = t_Q < L, row * L + t_Q
    for way in tl.static_range(WAYS):
        direction = way + first_way
        before_Q = tl.load(near_ptr + direction * rows * L + at_Q, mask=here_Q, other=-1)
        u_QF = _before_silu(
            xBC_ptr, weight_ptr, bias_ptr, at_Q, before_Q, 1 - 2 * direction, stride, channel_F, K, ACC
        )  # fmt: skip
        out_QF = tl.where((before_Q >= 0)[:, None], u_QF / (1.0 + tl.exp(-u_QF)), 0.0)
        write(out_ptr, out_QF, way * rows * L + at_Q, here_Q, C, channel_F)


@triton.jit(do_not_specialize=["rows", "L", "first_way"])
def convolution_backward_kernel(
    xBC_ptr, near_ptr, weight_ptr, bias_ptr, dout_ptr, dxBC_ptr, dtaps_ptr, rows, L, first_way, stride,
    WAYS: tl.constexpr, C: tl.constexpr, F: tl.constexpr, Q: tl.constexpr, K: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Compute a tile's gradients from dout (W, B, L, C): of xBC, tokens `stride` apart, and, summed per program,
    of the K taps and the bias, (W, B, tiles of a row, K + 1, C).
    """
    tile, row = tl.program_id(1), tl.program_id(2).to(tl.int64)
    channel_F = tl.program_id(0) * F + tl.arange(0, F)
    t_Q = tile * Q + tl.arange(0, Q)
    here_Q, at_Q = t_Q < L, row * L + t_Q
    dx_QF = tl.zeros((Q, F), ACC)
    for way in tl.static_range(WAYS):
        direction = way + first_way
        step = 1 - 2 * direction
        before_Q = tl.load(near_ptr + direction * rows * L + at_Q, mask=here_Q, other=-1)
        after_Q = tl.load(near_ptr + (1 - direction) * rows * L + at_Q, mask=here_Q, other=-1)
        sums = (
            dtaps_ptr + ((way * rows + row) * tl.num_programs(1) + tile) * (K + 1) * C + channel_F
        )
        for ahead in tl.static_range(K):
            # The token `ahead` steps later reads this one through this tap, if in the same cell.
            later_Q, reads_Q = at_Q + ahead * step, after_Q >= ahead
            known_Q = tl.where(reads_Q, before_Q + ahead, -1)
            u_QF = _before_silu(
                xBC_ptr, weight_ptr, bias_ptr, later_Q, known_Q, step, stride, channel_F, K, ACC
            )
            open_QF = 1.0 / (1.0 + tl.exp(-u_QF))
            dout_QF = read(dout_ptr, way * rows * L + later_Q, reads_Q, C, channel_F).to(ACC)
            du_QF = dout_QF * open_QF * (1.0 + u_QF * (1.0 - open_QF))
            dx_QF += tl.load(weight_ptr + channel_F * K + (K - 1 - ahead)).to(ACC)[None, :] * du_QF
            if ahead == 0:
                for back in tl.static_range(K):
                    x_QF = read(
                        xBC_ptr, at_Q - back * step, before_Q >= back, stride, channel_F
                    ).to(ACC)
                    tl.store(sums + (K - 1 - back) * C, tl.sum(du_QF * x_QF, 0))
                tl.store(sums + K * C, tl.sum(du_QF, 0))
    write(dxBC_ptr, dx_QF, at_Q, here_Q, stride, channel_F)
