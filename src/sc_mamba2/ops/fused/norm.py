"""The gate, the norm of each direction and their mean as one kernel, and its gradient.

``g = mean_w(rms_norm(y_w silu(z))) weight``, zero at pads; W directions, B rows, L tokens, I inner width, T = B L
tokens, J the power of two that holds I.
"""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["tokens"])
def norm_kernel(
    z_ptr, near_ptr, y_ptr, weight_ptr, g_ptr, tokens, stride, eps,
    WAYS: tl.constexpr, INNER: tl.constexpr, J: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Normalise one token, (T, I)."""
    token = tl.program_id(0).to(tl.int64)
    at_J = tl.arange(0, J)
    in_J = at_J < INNER
    real = tl.load(near_ptr + token) >= 0
    z_J = tl.load(z_ptr + token * stride + at_J, mask=in_J & real, other=0.0).to(ACC)
    gate_J = z_J / (1.0 + tl.exp(-z_J))
    sum_J = tl.zeros((J,), ACC)
    for way in tl.static_range(WAYS):
        y_J = tl.load(
            y_ptr + (way * tokens + token) * INNER + at_J, mask=in_J & real, other=0.0
        ).to(ACC)
        gated_J = y_J * gate_J
        sum_J += gated_J * tl.rsqrt(tl.sum(gated_J * gated_J) / INNER + eps)
    g_J = sum_J * tl.load(weight_ptr + at_J, mask=in_J, other=0.0).to(ACC) / WAYS
    tl.store(g_ptr + token * INNER + at_J, g_J.to(g_ptr.dtype.element_ty), mask=in_J)


@triton.jit(do_not_specialize=["tokens", "together"])
def norm_backward_kernel(
    z_ptr, near_ptr, y_ptr, weight_ptr, dg_ptr, dz_ptr, dy_ptr, dweight_ptr, tokens, together, stride, eps,
    WAYS: tl.constexpr, INNER: tl.constexpr, J: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Compute gradients of `together` tokens: dz, tokens `stride` apart, dy (W, T, I), and dweight per program."""
    program = tl.program_id(0)
    at_J = tl.arange(0, J)
    in_J = at_J < INNER
    weight_J = tl.load(weight_ptr + at_J, mask=in_J, other=0.0).to(ACC)
    dweight_J = tl.zeros((J,), ACC)
    first = program.to(tl.int64) * together
    for token in range(first, tl.minimum(first + together, tokens)):
        real = tl.load(near_ptr + token) >= 0
        z_J = tl.load(z_ptr + token * stride + at_J, mask=in_J & real, other=0.0).to(ACC)
        dg_J = tl.load(dg_ptr + token * INNER + at_J, mask=in_J & real, other=0.0).to(ACC) / WAYS
        open_J = 1.0 / (1.0 + tl.exp(-z_J))
        gate_J = z_J * open_J
        dgate_J = tl.zeros((J,), ACC)
        for way in tl.static_range(WAYS):
            of_way = (way * tokens + token) * INNER
            y_J = tl.load(y_ptr + of_way + at_J, mask=in_J & real, other=0.0).to(ACC)
            gated_J = y_J * gate_J
            scale = tl.rsqrt(tl.sum(gated_J * gated_J) / INNER + eps)
            unit_J = gated_J * scale
            dweight_J += dg_J * unit_J
            dunit_J = dg_J * weight_J
            dgated_J = scale * (dunit_J - unit_J * (tl.sum(dunit_J * unit_J) / INNER))
            dy_J = dgated_J * gate_J
            tl.store(dy_ptr + of_way + at_J, dy_J.to(dy_ptr.dtype.element_ty), mask=in_J)
            dgate_J += dgated_J * y_J
        dz_J = dgate_J * (open_J + gate_J * (1.0 - open_J))
        tl.store(dz_ptr + token * stride + at_J, dz_J.to(dz_ptr.dtype.element_ty), mask=in_J)
    tl.store(dweight_ptr + program * INNER + at_J, dweight_J, mask=in_J)
