"""The recurrence in chunks, and its gradient: one program per row, head, direction and segment.

In a chunk, with ``c_t`` the running sum of ``a_t = dt_t A`` and S the entering state (arXiv 2405.21060):

    y_t = sum_(s<=t) exp(c_t - c_s) (C_t . B_s) dt_s x_s + exp(c_t) S C_t + D x_t
    S'  = exp(c_end) S + sum_s exp(c_end - c_s) dt_s x_s B_s^T

where every exponential is zero across a cell border. The state stays in registers from chunk to chunk.
Few, long rows are cut into segments of chunks, one program each: a first launch (`OUTPUT` off) computes the
state that each adds, these are passed on, and a second launch starts each from its entering state.

W directions, B rows, L tokens, H heads, P head dim, N state, Q tokens of a chunk, I = H P, G segments.
"""

import triton
import triton.language as tl

from sc_mamba2.ops.fused.tiles import dot, read, time_steps, tokens_of, write


@triton.jit
def _program(L, segments, chunks, first_way, Q: tl.constexpr):
    """Return a program's head, row, direction, segment and range of chunks, and the number of rows."""
    head, row = tl.program_id(0), tl.program_id(1)
    way, segment = tl.program_id(2) // segments, tl.program_id(2) % segments
    start = segment * chunks
    end = tl.minimum(start + chunks, tl.cdiv(L, Q))
    return head, row, way, way + first_way, segment, start, end, tl.num_programs(1)


@triton.jit
def _chunk(
    xBC_ptr, dt_ptr, dt_bias_ptr, A, head, at_Q, in_way_Q, before_Q,
    H: tl.constexpr, P: tl.constexpr, N: tl.constexpr, Q: tl.constexpr, ACC: tl.constexpr,
):  # fmt: skip
    """Read a chunk: x, B, C, time steps and their slope, running sum; decays from the entering state, to the
    leaving one, and from entering to leaving.
    """
    INNER: tl.constexpr = H * P
    C: tl.constexpr = INNER + 2 * N
    real_Q, n_N = before_Q >= 0, tl.arange(0, N)
    x_QP = read(xBC_ptr, in_way_Q, real_Q, C, head * P + tl.arange(0, P))
    B_QN = read(xBC_ptr, in_way_Q, real_Q, C, INNER + n_N)
    C_QN = read(xBC_ptr, in_way_Q, real_Q, C, INNER + N + n_N)
    dt_Q, slope_Q = time_steps(dt_ptr, dt_bias_ptr, at_Q, real_Q, INNER + C + H, head, ACC)
    sum_Q = tl.cumsum(dt_Q * A, 0)
    total = tl.sum(dt_Q) * A
    line_Q = tl.arange(0, Q)
    of_last = tl.sum(tl.where(line_Q == Q - 1, before_Q, 0))
    from_state_Q = tl.where(before_Q > line_Q, tl.exp(sum_Q), 0.0)
    to_state_Q = tl.where(of_last >= Q - 1 - line_Q, tl.exp(tl.minimum(total - sum_Q, 0.0)), 0.0)
    through = tl.where(of_last >= Q, tl.exp(total), 0.0)
    return x_QP, B_QN, C_QN, dt_Q, slope_Q, sum_Q, from_state_Q, to_state_Q, through


@triton.jit
def _decays(sum_Q, before_Q, Q: tl.constexpr):
    """Return ``exp(c_t - c_s)`` for s <= t of the same cell, zero elsewhere, (t, s)."""
    at_Q = tl.arange(0, Q)
    back_QQ = at_Q[:, None] - at_Q[None, :]
    seen_QQ = (back_QQ >= 0) & (back_QQ <= before_Q[:, None])
    apart_QQ = tl.minimum(sum_Q[:, None] - sum_Q[None, :], 0.0)
    return tl.where(seen_QQ, tl.exp(apart_QQ), 0.0)


@triton.jit(do_not_specialize=["L", "segments", "chunks", "first_way"])
def scan_kernel(
    xBC_ptr, dt_ptr, near_ptr, dt_bias_ptr, A_log_ptr, D_ptr,
    y_ptr, borders_ptr, entering_ptr, added_ptr, through_ptr, L, segments, chunks, first_way,
    H: tl.constexpr, P: tl.constexpr, N: tl.constexpr, Q: tl.constexpr,
    OUTPUT: tl.constexpr, KEEP: tl.constexpr, ENTERING: tl.constexpr,
    ACC: tl.constexpr, DOT: tl.constexpr,
):  # fmt: skip
    """Scan a segment: write y (W, B, L, I); with KEEP also the states entering its chunks, (W, B, H, chunks of a
    row, P, N). With ENTERING start from states (W, B, H, G, P, N). Without OUTPUT write only the state it adds, of
    that shape, and the share of an entering state that it lets through, (W, B, H, G).
    """
    head, row, way, direction, segment, start, end, rows = _program(
        L, segments, chunks, first_way, Q
    )
    p_P, n_N = tl.arange(0, P), tl.arange(0, N)
    of_state_PN = p_P[:, None] * N + n_N[None, :]
    place_of_head = ((way * rows + row) * H + head).to(tl.int64)
    place_of_segment = (place_of_head * segments + segment) * P * N
    before_way = way * rows * L
    A = -tl.exp(tl.load(A_log_ptr + head).to(ACC))
    state_PN = tl.zeros((P, N), ACC)
    if ENTERING:
        state_PN = tl.load(entering_ptr + place_of_segment + of_state_PN).to(ACC)
    passed = 1.0
    for chunk in range(start, end):
        at_Q, here_Q, before_Q = tokens_of(chunk * Q, near_ptr, row, rows, L, direction, Q)
        in_way_Q = before_way + at_Q
        x_QP, B_QN, C_QN, dt_Q, _slope_Q, sum_Q, from_state_Q, to_state_Q, through = _chunk(
            xBC_ptr, dt_ptr, dt_bias_ptr, A, head, at_Q, in_way_Q, before_Q, H, P, N, Q, ACC
        )  # fmt: skip
        u_QP = dt_Q[:, None] * x_QP
        if KEEP:
            border = (place_of_head * tl.cdiv(L, Q) + chunk) * P * N
            kept_PN = state_PN.to(borders_ptr.dtype.element_ty)
            tl.store(borders_ptr + border + of_state_PN, kept_PN)
        if OUTPUT:
            pairs_QQ = dot(C_QN, tl.trans(B_QN), ACC, DOT) * _decays(sum_Q, before_Q, Q)
            y_QP = dot(pairs_QQ, u_QP, ACC, DOT)
            y_QP += from_state_Q[:, None] * dot(C_QN, tl.trans(state_PN), ACC, DOT)
            y_QP += tl.load(D_ptr + head).to(ACC) * x_QP.to(ACC)
            write(y_ptr, y_QP, in_way_Q, here_Q, H * P, head * P + p_P)
        state_PN = through * state_PN + dot(tl.trans(to_state_Q[:, None] * u_QP), B_QN, ACC, DOT)
        passed *= through
    if not OUTPUT:
        tl.store(added_ptr + place_of_segment + of_state_PN, state_PN)
        tl.store(through_ptr + place_of_head * segments + segment, passed)


@triton.jit(do_not_specialize=["L", "segments", "chunks", "first_way"])
def scan_backward_kernel(
    xBC_ptr, dt_ptr, near_ptr, dt_bias_ptr, A_log_ptr, D_ptr, borders_ptr, dy_ptr,
    entering_ptr, added_ptr, through_ptr, dx_ptr, dBC_ptr, ddt_ptr, dA_ptr, dD_ptr,
    L, segments, chunks, first_way,
    H: tl.constexpr, P: tl.constexpr, N: tl.constexpr, Q: tl.constexpr,
    OUTPUT: tl.constexpr, ENTERING: tl.constexpr, ACC: tl.constexpr, DOT: tl.constexpr,
):  # fmt: skip
    """Run a segment backwards, from the gradient dy (W, B, L, I) and the states at its borders.

    Writes the gradients of the convolved x, into the first columns of (W, B, L, C), of each head's B and C, (W, B,
    L, H, 2 N), of dt before softplus, (W, B, L, H), and, summed per program, of A_log and D, (W, B, H, G).
    `entering`, `added` and `through` are as in `scan_kernel`, for the gradient of the state, from the last segment
    to the first.
    """
    head, row, way, direction, segment, start, end, rows = _program(
        L, segments, chunks, first_way, Q
    )
    p_P, n_N, line_Q = tl.arange(0, P), tl.arange(0, N), tl.arange(0, Q)
    of_state_PN = p_P[:, None] * N + n_N[None, :]
    place_of_head = ((way * rows + row) * H + head).to(tl.int64)
    place_of_segment = (place_of_head * segments + segment) * P * N
    before_way = way * rows * L
    A = -tl.exp(tl.load(A_log_ptr + head).to(ACC))
    dstate_PN = tl.zeros((P, N), ACC)
    if ENTERING:
        dstate_PN = tl.load(entering_ptr + place_of_segment + of_state_PN).to(ACC)
    passed, dA, dD = 1.0, 0.0, 0.0
    for back in range(start, end):
        chunk = start + end - 1 - back
        at_Q, here_Q, before_Q = tokens_of(chunk * Q, near_ptr, row, rows, L, direction, Q)
        in_way_Q = before_way + at_Q
        x_QP, B_QN, C_QN, dt_Q, slope_Q, sum_Q, from_state_Q, to_state_Q, through = _chunk(
            xBC_ptr, dt_ptr, dt_bias_ptr, A, head, at_Q, in_way_Q, before_Q, H, P, N, Q, ACC
        )  # fmt: skip
        dy_QP = read(dy_ptr, in_way_Q, before_Q >= 0, H * P, head * P + p_P)
        read_QP = from_state_Q[:, None] * dy_QP
        if OUTPUT:
            # Each result is written as soon as possible: registers are scarce.
            u_QP = dt_Q[:, None] * x_QP
            decay_QQ = _decays(sum_Q, before_Q, Q)
            pairs_QQ = dot(C_QN, tl.trans(B_QN), ACC, DOT) * decay_QQ
            dpairs_QQ = dot(dy_QP, tl.trans(u_QP), ACC, DOT)
            # a_k scales each pair s < k <= t: two tokens here, a token and the entering or leaving state, or both
            # states. Nothing large cancels.
            pair_QQ = tl.where(line_Q[:, None] > line_Q[None, :], dpairs_QQ * pairs_QQ, 0.0)
            later_Q = tl.sum(pair_QQ, 1) - tl.sum(pair_QQ, 0)
            du_QP = dot(tl.trans(pairs_QQ), dy_QP, ACC, DOT)
            to_state_QP = to_state_Q[:, None] * dot(B_QN, tl.trans(dstate_PN), ACC, DOT)
            earlier_Q = tl.sum(to_state_QP * u_QP, 1)
            du_QP += to_state_QP
            dx_QP = dt_Q[:, None] * du_QP + tl.load(D_ptr + head).to(ACC) * dy_QP.to(ACC)
            write(dx_ptr, dx_QP, in_way_Q, here_Q, H * P + 2 * N, head * P + p_P)
            ddt_Q = tl.sum(du_QP * x_QP, 1)
            dD += tl.sum(dy_QP.to(ACC) * x_QP)

            dpairs_QQ *= decay_QQ
            dB_QN = dot(tl.trans(dpairs_QQ), C_QN, ACC, DOT)
            dB_QN += dot(to_state_Q[:, None] * u_QP, dstate_PN, ACC, DOT)
            write(dBC_ptr, dB_QN, in_way_Q, here_Q, H * 2 * N, head * 2 * N + n_N)

            border = (place_of_head * tl.cdiv(L, Q) + chunk) * P * N
            state_PN = tl.load(borders_ptr + border + of_state_PN)
            both = through * tl.sum(state_PN.to(ACC) * dstate_PN)
            dC_QN = dot(read_QP, state_PN, ACC, DOT)
            later_Q += tl.sum(dC_QN * C_QN, 1)
            dC_QN += dot(dpairs_QQ, B_QN, ACC, DOT)
            write(dBC_ptr, dC_QN, in_way_Q, here_Q, H * 2 * N, head * 2 * N + N + n_N)

            da_Q = tl.sum(later_Q) - tl.cumsum(later_Q, 0) + later_Q
            da_Q += tl.cumsum(earlier_Q, 0) - earlier_Q + both
            dA += tl.sum(da_Q * dt_Q)
            ddt_Q = (A * da_Q + ddt_Q) * slope_Q
            write(ddt_ptr, ddt_Q[:, None], in_way_Q, here_Q, H, head + tl.arange(0, 1))
        dstate_PN = through * dstate_PN + dot(tl.trans(read_QP), C_QN, ACC, DOT)
        passed *= through
    sums = place_of_head * segments + segment
    if OUTPUT:
        tl.store(dA_ptr + sums, dA * A)
        tl.store(dD_ptr + sums, dD)
    else:
        tl.store(added_ptr + place_of_segment + of_state_PN, dstate_PN)
        tl.store(through_ptr + sums, passed)
