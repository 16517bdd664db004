"""Run a mixer between its projections block by block, as one autograd function.

The state and the convolution's last tokens are carried from block to block. For the gradient only the
input and the states at block borders are kept; blocks are recomputed in cache. Runs on any device.
T tokens of all rows, R cells of a group, E projected width, I inner width, N state, W borders between
blocks.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from sc_mamba2.ops.blocks.mixer import (
    BlockWeights,
    Carried,
    MixedBlock,
    block_weights,
    mix_block,
    mix_block_backward,
    weight_gradients,
    zero_state,
)
from sc_mamba2.ops.blocks.plan import Block, Group, plan_groups
from sc_mamba2.ops.rows import cell_spans
from sc_mamba2.ops.weights import MixerWeights, at_least_single

# Elements of an inner-width array in a block: about 2 MB each; half or twice that is as fast.
_CPU_NUMBERS, _MIN_TOKENS, _MAX_TOKENS = 2**19, 256, 1024
# Accelerators need few, large operations.
_ACCELERATOR_TOKENS = 16_384


def scan_in_blocks(
    zxbcdt_BLE: Tensor,
    lengths: Tensor,
    weights: MixerWeights,
    reverse: Sequence[bool],
    block_tokens: int | None = None,
) -> Tensor:
    """Run a mixer between its projections, in one or more directions, and average them.

    Parameters
    ----------
    zxbcdt_BLE, lengths, weights
        As in `dispatch.bidirectional_scan`.
    reverse
        For each direction, whether it reads cells from their last token.
    block_tokens
        Approximate tokens of a block, at least 64; by default chosen for the device.

    Returns
    -------
    Tensor
        (B, L, I), zero at pads, with the dtype of `zxbcdt_BLE`. Differentiable once.
    """
    rows, length = zxbcdt_BLE.shape[:2]
    if block_tokens is None and zxbcdt_BLE.device.type == "cpu":
        _keep_freed_memory()
        block_tokens = min(_MAX_TOKENS, max(_MIN_TOKENS, _CPU_NUMBERS // weights.inner))
    block_tokens = block_tokens or _ACCELERATOR_TOKENS
    groups = list(plan_groups(cell_spans(lengths, length), block_tokens))
    tensors = [part for part in weights if isinstance(part, Tensor)]
    plan = _ScanPlan(groups, tuple(reverse), weights.eps)
    g_TI: Tensor = _BlockedScan.apply(plan, zxbcdt_BLE.flatten(0, 1), *tensors)
    return g_TI.view(rows, length, weights.inner)


class _ScanPlan(NamedTuple):
    """The tokens to read, and in which directions."""

    groups: list[Group]
    reverse: tuple[bool, ...]
    eps: float

    def passes(self) -> Iterator[tuple[Group, list[Block]]]:
        for group in self.groups:
            for reverse in self.reverse:
                yield group, group.blocks(reverse)


class _BlockedScan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, plan: _ScanPlan, zxbcdt_TE: Tensor, *tensors: Tensor) -> Tensor:
        weights = block_weights(tensors, len(plan.reverse), at_least_single(zxbcdt_TE, *tensors))
        g_TI = zxbcdt_TE.new_zeros(len(zxbcdt_TE), weights.parts[0])
        states = []
        with torch.autocast(zxbcdt_TE.device.type, enabled=False):
            for group, blocks in plan.passes():
                carried = zero_state(len(group.starts_R), weights)
                borders = []
                for block in blocks:
                    borders.append(carried.state_RNI)
                    mixed = _mix(zxbcdt_TE, block, carried, weights, plan.eps)
                    carried = mixed.carried
                    block.add(g_TI, mixed.normed.g_RTI.mul_(weights.norm_I))
                states.append(torch.stack(borders[1:]) if borders[1:] else None)
        ctx.plan = plan
        ctx.save_for_backward(zxbcdt_TE, *tensors, *states)
        return g_TI

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        plan: _ScanPlan = ctx.plan
        count = len(BlockWeights._fields)
        zxbcdt_TE, *rest = ctx.saved_tensors
        tensors, states = rest[:count], rest[count:]
        weights = block_weights(tensors, len(plan.reverse), at_least_single(zxbcdt_TE, *tensors))
        sums = BlockWeights(*map(torch.zeros_like, weights))
        dzxbcdt_TE = torch.zeros_like(zxbcdt_TE)
        with torch.autocast(zxbcdt_TE.device.type, enabled=False):
            for (group, blocks), states_WRNI in zip(plan.passes(), states, strict=True):
                dcarried = zero_state(len(group.starts_R), weights)
                for at in range(len(blocks) - 1, -1, -1):
                    carried = _carried_into(at, blocks, states_WRNI, zxbcdt_TE, weights)
                    mixed = _mix(zxbcdt_TE, blocks[at], carried, weights, plan.eps)
                    dg_RTI = blocks[at].read_real(gradients[0], weights.norm_I.dtype)
                    dzxbcdt_RTE, parts, dcarried = mix_block_backward(
                        dg_RTI, mixed, carried.before_RKC, dcarried, weights
                    )
                    blocks[at].add(dzxbcdt_TE, dzxbcdt_RTE)
                    for total, part in zip(sums, parts, strict=True):
                        total.add_(part)
        return None, dzxbcdt_TE, *weight_gradients(sums, weights, tensors, len(plan.reverse))


def _mix(
    zxbcdt_TE: Tensor, block: Block, carried: Carried, weights: BlockWeights, eps: float
) -> MixedBlock:
    part_RTE = block.read(zxbcdt_TE, weights.norm_I.dtype)
    return mix_block(part_RTE, block.real_RT, block.chunk, carried, weights, eps)


def _carried_into(
    at: int,
    blocks: list[Block],
    states_WRNI: Tensor | None,
    zxbcdt_TE: Tensor,
    weights: BlockWeights,
) -> Carried:
    """Return the values carried into a block: the saved state, and the preceding tokens, read again."""
    if at == 0:
        return zero_state(blocks[0].cells, weights)
    assert states_WRNI is not None
    inner, channels, _ = weights.parts
    xBC_TC = zxbcdt_TE[:, inner : inner + channels]
    earlier_RTC = blocks[at - 1].read(xBC_TC, weights.norm_I.dtype)
    kept = len(weights.taps_KC) - 1
    return Carried(states_WRNI[at - 1], earlier_RTC[:, earlier_RTC.shape[1] - kept :])


@cache
def _keep_freed_memory() -> None:
    """Make glibc keep freed memory: mapping it again at every step costs more than the arithmetic.

    Its thresholds rise to the largest mapped chunk ever freed, up to 32 MiB; this one is freed untouched. No
    effect on other allocators.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)
