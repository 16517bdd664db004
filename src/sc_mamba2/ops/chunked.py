"""The scan of `reference` in chunks: within a chunk as matrix products, between chunks as a state.

The gradient is written by hand; its derivation stands in `_ChunkedScan`. B rows, L tokens, Z
chunks, R = B Z, c tokens of a chunk, H heads, P head dim, N state, I = H P.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional


def ssd_chunked(
    x_BLHP: Tensor,
    dt_BLH: Tensor,
    A_H: Tensor,
    B_BLN: Tensor,
    C_BLN: Tensor,
    D_H: Tensor,
    chunk: int = 64,
) -> Tensor:
    """Run the recurrence of `reference.ssd_reference` in chunks.

    Parameters
    ----------
    x_BLHP, dt_BLH, A_H, B_BLN, C_BLN, D_H
        As in `ssd_reference`. Half precision is computed in fp32.
    chunk
        Most tokens of a chunk, at least 1. A row is cut into equal chunks, none longer.

    Returns
    -------
    Tensor
        (B, L, H, P), of the type of `x_BLHP`. Differentiable once.
    """
    length = x_BLHP.shape[1]
    if length == 0 or x_BLHP.shape[0] == 0:
        return x_BLHP.clone()
    chunks = -(-length // chunk)
    tail = -(-length // chunks) * chunks - length
    kind = torch.promote_types(x_BLHP.dtype, torch.float32)
    inputs = (_cut(part.to(kind), chunks, tail) for part in (x_BLHP, dt_BLH, B_BLN, C_BLN))
    y_RcHP: Tensor = _ChunkedScan.apply(*inputs, A_H.to(kind), D_H.to(kind), x_BLHP.shape[0])
    y_BLHP = y_RcHP.reshape(-1, length + tail, *x_BLHP.shape[2:])
    return y_BLHP[:, :length].to(x_BLHP.dtype)


def _cut(part_BL: Tensor, chunks: int, tail: int) -> Tensor:
    """Cut rows into chunks, (R, c, ...), after `tail` zero tokens at their ends.

    A time step of zero leaves the state as it is.
    """
    if tail:
        part_BL = functional.pad(part_BL, (0, 0) * (part_BL.dim() - 2) + (0, tail))
    rows, length = part_BL.shape[:2]
    return part_BL.reshape(rows * chunks, length // chunks, *part_BL.shape[2:])


class _Decays(NamedTuple):
    """Decays of a chunk, by head; ``s`` is the running sum of ``dt A``."""

    within: Tensor  # (R, H, c, c): exp(s_i - s_j) where j <= i, else 0
    from_start: Tensor  # (R, c, H, 1): exp(s_i)
    to_end: Tensor  # (R, c, H, 1): exp(s_end - s_j)
    whole: Tensor  # (B, Z, H): exp(s_end)


def _decays(dt_RcH: Tensor, A_H: Tensor, rows: int) -> _Decays:
    s_RcH = torch.cumsum(dt_RcH * A_H, dim=1)
    size = s_RcH.shape[1]
    s_RHc = s_RcH.transpose(1, 2).contiguous()
    future_cc = s_RHc.new_full((size, size), float("-inf")).triu_(1)
    # Masked before exp: above the diagonal the exponents are positive and would overflow.
    within = torch.sub(s_RHc[..., :, None], s_RHc[..., None, :]).add_(future_cc).exp_()
    end_R1H = s_RcH[:, -1:]
    return _Decays(
        within,
        s_RcH.exp().unsqueeze(-1),
        (end_R1H - s_RcH).exp_().unsqueeze(-1),
        end_R1H.exp().reshape(rows, -1, s_RcH.shape[-1]),
    )


class _ChunkedScan(torch.autograd.Function):
    """``y = (G o E) v + e (C S) + D x`` in a chunk, ``S' = e_end S + B^T (f v)`` to the next.

    ``v = dt x``, ``s`` the running sum of ``a = dt A``, ``G = C B^T``, ``E_ij = exp(s_i - s_j)`` for
    j <= i, ``e_i = exp(s_i)``, ``f_j = exp(s_end - s_j)``. The gradient of ``a_k`` gathers every
    exponent that spans k: ``E_ij`` with j < k <= i, ``e_i`` with k <= i, ``f_j`` with j < k, and
    ``e_end``. Each is summed over just those: the shorter way, gradients of ``s`` summed from the
    end, is a difference of large sums and loses two digits in fp32.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x_RcHP: Tensor,
        dt_RcH: Tensor,
        B_RcN: Tensor,
        C_RcN: Tensor,
        A_H: Tensor,
        D_H: Tensor,
        rows: int,
    ) -> Tensor:
        heads = x_RcHP.shape[2]
        decays = _decays(dt_RcH, A_H, rows)
        v_RcHP = x_RcHP * dt_RcH.unsqueeze(-1)
        late_RcI = (v_RcHP * decays.to_end).flatten(2)
        states_RNI = _pass_states(torch.bmm(B_RcN.mT, late_RcI), decays.whole)
        mixing_RHcc = decays.within * torch.bmm(C_RcN, B_RcN.mT).unsqueeze(1)
        read_RcHP = torch.bmm(C_RcN, states_RNI).unflatten(-1, (heads, -1)).mul_(decays.from_start)
        inputs, made = (x_RcHP, dt_RcH, B_RcN, C_RcN, A_H, D_H), (read_RcHP, v_RcHP, late_RcI)
        ctx.save_for_backward(*inputs, *made, states_RNI, mixing_RHcc, *decays)
        y_RcHP = torch.addcmul(read_RcHP, x_RcHP, D_H[:, None])
        for h in range(heads):
            y_RcHP[:, :, h].baddbmm_(mixing_RHcc[:, h], v_RcHP[:, :, h])
        return y_RcHP

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x_RcHP, dt_RcH, B_RcN, C_RcN, A_H, D_H, *made = ctx.saved_tensors
        read_RcHP, v_RcHP, late_RcI, states_RNI, mixing_RHcc, *parts = made
        decays = _Decays(*parts)
        heads = x_RcHP.shape[2]
        dy_RcHP = gradients[0].contiguous()

        early_RcI = (dy_RcHP * decays.from_start).flatten(2)
        dC_RcN = torch.bmm(early_RcI, states_RNI.mT)
        dstates_RNI = _return_states(torch.bmm(C_RcN.mT, early_RcI), decays.whole)
        dB_RcN = torch.bmm(late_RcI, dstates_RNI.mT)
        w_RcHP = torch.bmm(B_RcN, dstates_RNI).unflatten(-1, (heads, -1)).mul_(decays.to_end)

        written_RcH = (v_RcHP * w_RcHP).sum(-1)
        da_RcH = (dy_RcHP * read_RcHP).sum(-1).flip(1).cumsum(1).flip(1)
        da_RcH += (written_RcH.cumsum(1) - written_RcH) + _carried(states_RNI, dstates_RNI, decays)

        dscores_Rcc = torch.zeros_like(mixing_RHcc[:, 0])
        for h in range(heads):
            dmixing_Rcc = torch.bmm(dy_RcHP[:, :, h], v_RcHP[:, :, h].mT)
            dscores_Rcc.addcmul_(dmixing_Rcc, decays.within[:, h])
            w_RcHP[:, :, h].baddbmm_(mixing_RHcc[:, h].mT, dy_RcHP[:, :, h])
            da_RcH[:, :, h] += _spanning(dmixing_Rcc.mul_(mixing_RHcc[:, h]))
        dC_RcN.baddbmm_(dscores_Rcc, B_RcN)
        dB_RcN.baddbmm_(dscores_Rcc.mT, C_RcN)

        ddt_RcH = torch.addcmul((x_RcHP * w_RcHP).sum(-1), da_RcH, A_H)
        dx_RcHP = w_RcHP.mul_(dt_RcH.unsqueeze(-1)).addcmul_(dy_RcHP, D_H[:, None])
        dA_H, dD_H = (da_RcH * dt_RcH).sum((0, 1)), (dy_RcHP * x_RcHP).sum((0, 1, 3))
        return dx_RcHP, ddt_RcH, dB_RcN, dC_RcN, dA_H, dD_H, None


def _spanning(pairs_Rcc: Tensor) -> Tensor:
    """Sum, for every k, the pairs (i, j) of a lower triangle with j < k <= i, (R, c)."""
    ones_cc = torch.ones_like(pairs_Rcc[0])
    before_Rcc = torch.matmul(pairs_Rcc, ones_cc.triu(1))
    return before_Rcc.mul_(ones_cc.tril()).sum(1)


def _carried(states_RNI: Tensor, dstates_RNI: Tensor, decays: _Decays) -> Tensor:
    """Gradient of a chunk's whole decay, from the state that it carries over, (R, 1, H)."""
    product_RNHP = (states_RNI * dstates_RNI).unflatten(-1, (decays.whole.shape[-1], -1))
    return (product_RNHP.sum((1, 3)) * decays.whole.flatten(0, 1)).unsqueeze(1)


def _pass_states(added_RNI: Tensor, whole_BZH: Tensor) -> Tensor:
    """State before every chunk, (R, N, I), from what each chunk adds: linear in the chunks."""
    added_BZNHP = _by_head(added_RNI, whole_BZH)
    states_BZNHP = torch.empty_like(added_BZNHP)
    states_BZNHP[:, 0] = 0
    for z in range(1, whole_BZH.shape[1]):
        keep_B1H1 = whole_BZH[:, z - 1, None, :, None]
        before = states_BZNHP[:, z - 1]
        torch.addcmul(added_BZNHP[:, z - 1], before, keep_B1H1, out=states_BZNHP[:, z])
    return states_BZNHP.view(added_RNI.shape)


def _return_states(dread_RNI: Tensor, whole_BZH: Tensor) -> Tensor:
    """Gradient of the state that every chunk hands on, (R, N, I); the last one's is zero."""
    dread_BZNHP = _by_head(dread_RNI, whole_BZH)
    dstates_BZNHP = torch.empty_like(dread_BZNHP)
    dstates_BZNHP[:, -1] = 0
    for z in range(whole_BZH.shape[1] - 1, 0, -1):
        keep_B1H1 = whole_BZH[:, z, None, :, None]
        torch.addcmul(
            dread_BZNHP[:, z], dstates_BZNHP[:, z], keep_B1H1, out=dstates_BZNHP[:, z - 1]
        )
    return dstates_BZNHP.view(dread_RNI.shape)


def _by_head(states_RNI: Tensor, whole_BZH: Tensor) -> Tensor:
    rows, chunks, heads = whole_BZH.shape
    return states_RNI.unflatten(0, (rows, chunks)).unflatten(-1, (heads, -1))
