"""Functions shared by the kernels: tokens in scan order, the time steps, the matrix product.

A direction is a reading order: token i of the scan is at position ``i``, or at ``L - 1 - i`` in reverse, a
step of 1 or -1. So one kernel serves both directions, and nothing is flipped in memory. The number of tokens
of its cell read before each token, -1 at pads, determines which neighbours are in the same cell; others count
as zero whatever their content. Q tokens of a chunk, W columns of a tile.
"""

import triton
import triton.language as tl


@triton.jit
def tokens_of(first, near_ptr, row, rows, L, direction, Q: tl.constexpr):
    """Return, for tokens ``first + (0 .. Q - 1)``, their positions in all rows, whether they are in the row, and
    how many of their cell were read before each; `near` is (2, B, L), one entry per direction.
    """
    i_Q = first + tl.arange(0, Q)
    here_Q = i_Q < L
    at_Q = row.to(tl.int64) * L + tl.where(direction == 1, L - 1 - i_Q, i_Q)
    before_ptr = near_ptr + direction * rows * L
    return at_Q, here_Q, tl.load(before_ptr + at_Q, mask=here_Q, other=-1)


@triton.jit
def read(ptr, at_Q, mask_Q, stride, column_W):
    """Read columns of tokens, (Q, W), zero where `mask_Q` is false."""
    where_QW = at_Q[:, None] * stride + column_W[None, :]
    return tl.load(ptr + where_QW, mask=mask_Q[:, None], other=0.0)


@triton.jit
def write(ptr, value_QW, at_Q, mask_Q, stride, column_W):
    """Write columns of tokens where `mask_Q` is true."""
    where_QW = at_Q[:, None] * stride + column_W[None, :]
    tl.store(ptr + where_QW, value_QW.to(ptr.dtype.element_ty), mask=mask_Q[:, None])


@triton.jit
def time_steps(dt_ptr, bias_ptr, at_Q, real_Q, stride, head, ACC: tl.constexpr):
    """Return ``softplus(dt + bias)`` of a head, zero at pads, and its slope, (Q,) each."""
    raw_Q = tl.load(dt_ptr + at_Q * stride + head, mask=real_Q, other=0.0).to(ACC)
    raw_Q += tl.load(bias_ptr + head).to(ACC)
    # Above 20 softplus is the identity, as in torch; log(1 + e) e / ((1 + e) - 1) is exact for small e.
    e_Q = tl.exp(tl.minimum(raw_Q, 20.0))
    one_Q = 1.0 + e_Q
    log_Q = tl.where(
        one_Q == 1.0, e_Q, tl.log(one_Q) * e_Q / tl.where(one_Q == 1.0, 1.0, one_Q - 1.0)
    )
    dt_Q = tl.where(raw_Q > 20.0, raw_Q, log_Q)
    slope_Q = 1.0 / (1.0 + tl.exp(-raw_Q))
    return tl.where(real_Q, dt_Q, 0.0), tl.where(real_Q, slope_Q, 0.0)


@triton.jit
def dot(a, b, ACC: tl.constexpr, DOT: tl.constexpr):
    """Multiply matrices in type DOT, accumulating in ACC; single precision is not reduced to TF32."""
    return tl.dot(a.to(DOT), b.to(DOT), out_dtype=ACC, input_precision="ieee")
