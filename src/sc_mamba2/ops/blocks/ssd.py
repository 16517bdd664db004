"""The recurrence of `reference` over one block: matrix products within chunks, a state between them.

Hand-written forward and backward, without autograd. R cells, Z chunks (of all cells), c tokens of
a chunk, T tokens of a block, H heads, P head dim, N state, I = H P.

In a chunk ``y = (G o E) x + e (C S)``, and ``S' = e_end S + B^T (f x)`` goes to the next, with ``s``
the running sum of ``dt A``, ``G = C B^T``, ``E_ij = exp(s_i - s_j) dt_j`` for j <= i and else 0,
``e_i = exp(s_i)``, ``f_j = exp(s_end - s_j) dt_j``. The skip weight D is added to the diagonal of
``G o E``. Powers of two replace exp: torch's exp2 is several times faster on a CPU.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

_LOG2_E = 1 / math.log(2)


class BlockInputs(NamedTuple):
    """Inputs of a block's recurrence."""

    x_ZcI: Tensor
    dt_ZcH: Tensor  # 0 at pads
    B_ZcN: Tensor
    C_ZcN: Tensor
    A_H: Tensor
    D_H: Tensor


class BlockScan(NamedTuple):
    """Output of a block's recurrence, with values for its backward."""

    y_ZcI: Tensor
    state_RNI: Tensor  # after the block
    read_ZcI: Tensor  # e (C S)
    late_ZcI: Tensor  # f x
    states_ZNI: Tensor  # before each chunk
    pairs: "_Pairs"
    from_start_ZcH: Tensor  # e
    to_end_ZcH: Tensor  # f
    whole_RZH: Tensor  # e_end


class BlockGradients(NamedTuple):
    """Gradients of a block's recurrence."""

    dx_ZcI: Tensor
    dlogdt_ZcH: Tensor  # of log dt, to avoid dividing by a dt that may be 0
    dB_ZcN: Tensor
    dC_ZcN: Tensor
    dA_H: Tensor
    dD_H: Tensor
    dstate_RNI: Tensor  # of the state before the block


def scan_block(inputs: BlockInputs, state_RNI: Tensor) -> BlockScan:
    """Run the recurrence over a block, starting from the state before it."""
    x_ZcI, dt_ZcH, B_ZcN, C_ZcN, A_H, D_H = inputs
    s_ZcH = torch.cumsum(dt_ZcH * (A_H * _LOG2_E), dim=1)
    end_Z1H = s_ZcH[:, -1:]
    from_start_ZcH, to_end_ZcH = torch.exp2(s_ZcH), torch.exp2(end_Z1H - s_ZcH) * dt_ZcH
    whole_RZH = torch.exp2(end_Z1H).view(len(state_RNI), -1, len(A_H))

    late_ZcI = _per_head(x_ZcI, to_end_ZcH)
    states_ZNI, state_RNI = _pass_states(torch.bmm(B_ZcN.mT, late_ZcI), state_RNI, whole_RZH)
    read_ZcI = torch.bmm(C_ZcN, states_ZNI)
    read_ZcI = _per_head(read_ZcI, from_start_ZcH, out=read_ZcI)
    y_ZcI = read_ZcI.clone()
    pairs = _pairs(s_ZcH, inputs)
    for slab in _slabs(pairs.s_ZHc):
        mixing = pairs.mixing(slab, pairs.decay(slab))
        _heads(y_ZcI, D_H)[slab].baddbmm_(mixing, _heads(x_ZcI, D_H)[slab])
    made = (read_ZcI, late_ZcI, states_ZNI, pairs)
    return BlockScan(y_ZcI, state_RNI, *made, from_start_ZcH, to_end_ZcH, whole_RZH)


def scan_block_backward(
    inputs: BlockInputs, scan: BlockScan, dy_ZcI: Tensor, dstate_RNI: Tensor
) -> BlockGradients:
    """Compute the gradients of a block from those of its output and of the state after it.

    The gradient of ``a_k = dt_k A`` sums over every exponent that spans k: ``E_ij`` with j < k <= i,
    ``e_i`` with k <= i, ``f_j`` with j < k, and ``e_end``. For E it is the sum over columns before
    k minus the sum over rows before k, off the diagonal.
    """
    x_ZcI, dt_ZcH, B_ZcN, C_ZcN, A_H, D_H = inputs
    early_ZcI = _per_head(dy_ZcI, scan.from_start_ZcH)
    dC_ZcN = torch.bmm(early_ZcI, scan.states_ZNI.mT)
    dread_ZNI = torch.bmm(C_ZcN.mT, early_ZcI)
    dafter_ZNI, dstate_RNI = _return_states(dread_ZNI, dstate_RNI, scan.whole_RZH)
    dB_ZcN = torch.bmm(scan.late_ZcI, dafter_ZNI.mT)
    dx_ZcI = torch.bmm(B_ZcN, dafter_ZNI)
    dx_ZcI = _per_head(dx_ZcI, scan.to_end_ZcH, out=dx_ZcI)

    written_ZcH = _sum_heads(x_ZcI * dx_ZcI, D_H)
    read_ZcH = _sum_heads(dy_ZcI * scan.read_ZcI, D_H)
    carried_ZI = (scan.states_ZNI * dafter_ZNI).sum(1)
    carried_ZH = _sum_heads(carried_ZI, D_H) * scan.whole_RZH.flatten(0, 1)

    within = _backward_within(inputs, scan.pairs, dy_ZcI, dx_ZcI)
    dC_ZcN.baddbmm_(within.dscores_Zcc, B_ZcN)
    dB_ZcN.baddbmm_(within.dscores_Zcc.mT, C_ZcN)

    before_ZcH = written_ZcH + within.off_ZcH
    da_ZcH = before_ZcH.cumsum(1) - before_ZcH + carried_ZH.unsqueeze(1)
    da_ZcH += read_ZcH.flip(1).cumsum(1).flip(1)
    dlogdt_ZcH = torch.addcmul(written_ZcH + within.columns_ZcH, da_ZcH, dt_ZcH * A_H)
    dA_H = (da_ZcH * dt_ZcH).sum((0, 1))
    return BlockGradients(dx_ZcI, dlogdt_ZcH, dB_ZcN, dC_ZcN, dA_H, within.dD_H, dstate_RNI)


class _Pairs(NamedTuple):
    """Weights of token pairs within a chunk, computed slab by slab to stay in cache."""

    s_ZHc: Tensor
    dt_ZHc: Tensor
    scores_ZHcc: Tensor  # G
    D_H: Tensor
    future_cc: Tensor  # -inf where j > i, else 0

    def decay(self, slab: "_Slab") -> Tensor:
        """Compute E."""
        s_Sc = self.s_ZHc[slab]
        # Masked before exp2: above the diagonal the exponents are positive and would overflow.
        exponent_Scc = torch.sub(s_Sc.unsqueeze(2), s_Sc.unsqueeze(1)).add_(self.future_cc)
        return exponent_Scc.exp2_().mul_(self.dt_ZHc[slab].unsqueeze(1))

    def mixing(self, slab: "_Slab", decay_Scc: Tensor) -> Tensor:
        """Compute G o E + D, overwriting E."""
        mixing_Scc = decay_Scc.mul_(self.scores_ZHcc[slab])
        D = self.D_H.unsqueeze(1) if len(slab) == 1 else self.D_H[slab[1]]
        mixing_Scc.diagonal(dim1=1, dim2=2).add_(D)
        return mixing_Scc


def _pairs(s_ZcH: Tensor, inputs: BlockInputs) -> _Pairs:
    size, heads = s_ZcH.shape[1:]
    scores_Zcc = torch.bmm(inputs.C_ZcN, inputs.B_ZcN.mT)
    scores_ZHcc = scores_Zcc.unsqueeze(1).expand(-1, heads, -1, -1)
    future_cc = s_ZcH.new_full((size, size), -math.inf).triu_(1)
    s_ZHc, dt_ZHc = s_ZcH.mT.contiguous(), inputs.dt_ZcH.mT.contiguous()
    return _Pairs(s_ZHc, dt_ZHc, scores_ZHcc, inputs.D_H, future_cc)


class _Within(NamedTuple):
    """Gradients from the pairs within a chunk; M is the gradient of log(G o E)."""

    dscores_Zcc: Tensor
    columns_ZcH: Tensor  # M summed over its rows
    off_ZcH: Tensor  # the same minus M summed over its columns, off the diagonal
    dD_H: Tensor


def _backward_within(inputs: BlockInputs, pairs: _Pairs, dy_ZcI: Tensor, dx_ZcI: Tensor) -> _Within:
    """Compute the gradients of the pairs, and add that of x to `dx_ZcI`."""
    D_H = inputs.D_H
    dscores_Zcc = torch.zeros_like(pairs.scores_ZHcc[:, 0])
    columns_ZHc, off_ZHc, dD_ZHc = (torch.empty_like(pairs.s_ZHc) for _ in range(3))
    for slab in _slabs(pairs.s_ZHc):
        dy, x, dx = (_heads(part, D_H)[slab] for part in (dy_ZcI, inputs.x_ZcI, dx_ZcI))
        decay = pairs.decay(slab)
        dmixing = torch.bmm(dy, x.mT)
        dD_ZHc[slab] = dmixing.diagonal(dim1=1, dim2=2)
        dmixing.mul_(decay)
        if len(slab) == 1:
            dscores_Zcc[slab] = dmixing.sum(0)
        else:
            dscores_Zcc.add_(dmixing)
        dmixing.mul_(pairs.scores_ZHcc[slab])
        diagonal = dmixing.diagonal(dim1=1, dim2=2)
        columns_ZHc[slab] = diagonal
        diagonal.zero_()
        columns = dmixing.sum(1)
        columns_ZHc[slab] += columns
        off_ZHc[slab] = columns - dmixing.sum(2)
        dx.baddbmm_(pairs.mixing(slab, decay).mT, dy)
    return _Within(dscores_Zcc, columns_ZHc.mT, off_ZHc.mT, dD_ZHc.sum((0, 2)))


_Slab = tuple[Any, ...]


def _slabs(s_ZHc: Tensor) -> Iterator[_Slab]:
    """Yield indices (chunk,) or (:, head) of batches of matrices, whichever are fewer."""
    chunks, heads = s_ZHc.shape[:2]
    if chunks <= heads:
        yield from ((z,) for z in range(chunks))
    else:
        yield from ((slice(None), h) for h in range(heads))


def _heads(part_ZcI: Tensor, D_H: Tensor) -> Tensor:
    return part_ZcI.unflatten(-1, (len(D_H), -1)).transpose(1, 2)


def _per_head(part_ZcI: Tensor, factor_ZcH: Tensor, out: Tensor | None = None) -> Tensor:
    heads = factor_ZcH.shape[-1]
    target = None if out is None else out.unflatten(-1, (heads, -1))
    product = torch.mul(part_ZcI.unflatten(-1, (heads, -1)), factor_ZcH.unsqueeze(-1), out=target)
    return product.flatten(2)


def _sum_heads(part: Tensor, D_H: Tensor) -> Tensor:
    return part.unflatten(-1, (len(D_H), -1)).sum(-1)


def _pass_states(added_ZNI: Tensor, state_RNI: Tensor, whole_RZH: Tensor) -> tuple[Tensor, Tensor]:
    """Return the states before every chunk, and after the last, in time linear in the chunks."""
    added_RZNHP = _by_head(added_ZNI, whole_RZH)
    states_RZNHP = torch.empty_like(added_RZNHP)
    state_RNHP = state_RNI.unflatten(-1, added_RZNHP.shape[3:])
    for z in range(whole_RZH.shape[1]):
        states_RZNHP[:, z] = state_RNHP
        state_RNHP = torch.addcmul(added_RZNHP[:, z], state_RNHP, whole_RZH[:, z, None, :, None])
    return states_RZNHP.view(added_ZNI.shape), state_RNHP.flatten(2)


def _return_states(
    dread_ZNI: Tensor, dstate_RNI: Tensor, whole_RZH: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gradients of the states after every chunk, and of the one before the first."""
    dread_RZNHP = _by_head(dread_ZNI, whole_RZH)
    dafter_RZNHP = torch.empty_like(dread_RZNHP)
    dstate_RNHP = dstate_RNI.unflatten(-1, dread_RZNHP.shape[3:])
    for z in range(whole_RZH.shape[1] - 1, -1, -1):
        dafter_RZNHP[:, z] = dstate_RNHP
        dstate_RNHP = torch.addcmul(dread_RZNHP[:, z], dstate_RNHP, whole_RZH[:, z, None, :, None])
    return dafter_RZNHP.view(dread_ZNI.shape), dstate_RNHP.flatten(2)


def _by_head(states_ZNI: Tensor, whole_RZH: Tensor) -> Tensor:
    cells, chunks, heads = whole_RZH.shape
    return states_ZNI.unflatten(0, (cells, chunks)).unflatten(-1, (heads, -1))
