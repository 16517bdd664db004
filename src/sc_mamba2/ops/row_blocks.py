"""Run a function of rows a few rows at a time, so that what it makes on the way stays in cache.

Only its input is kept for the gradient; a block is computed again in the backward pass. On a CPU
this beats keeping the arrays, for which fresh memory may have to be mapped in at every step.
B rows, L tokens, E width.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

RowFunction = Callable[[Tensor, Tensor, Sequence[Tensor]], Tensor]


def in_row_blocks(
    function: RowFunction, x_BLE: Tensor, lengths_B: Tensor, weights: Sequence[Tensor], tokens: int
) -> Tensor:
    """Compute ``function(x_BLE, lengths_B, weights)`` block of rows by block of rows.

    Parameters
    ----------
    function
        Treats every row by itself; gives (B, L, ...).
    x_BLE, lengths_B
        Rows and their real tokens, (B, L, E) and (B,).
    weights
        Tensors that all rows share.
    tokens
        About how many tokens a block holds, at least 1; a block has one row or more.

    Returns
    -------
    Tensor
        (B, L, ...). Differentiable once, in `x_BLE` and `weights`.
    """
    rows = max(1, tokens // max(1, x_BLE.shape[1]))
    result: Tensor = _InRowBlocks.apply(function, rows, lengths_B, x_BLE, *weights)
    return result


class _InRowBlocks(torch.autograd.Function):
    @staticmethod
    @torch.amp.custom_fwd(device_type="cpu")
    def forward(
        ctx: Any,
        function: RowFunction,
        rows: int,
        lengths_B: Tensor,
        x_BLE: Tensor,
        *weights: Tensor,
    ) -> Tensor:
        ctx.function, ctx.rows = function, rows
        ctx.save_for_backward(lengths_B, x_BLE, *weights)
        blocks = zip(x_BLE.split(rows), lengths_B.split(rows), strict=True)
        return torch.cat([function(x, lengths, weights) for x, lengths in blocks])

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type="cpu")
    def backward(  # type: ignore[override]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor | None, ...]:
        lengths_B, x_BLE, *weights = ctx.saved_tensors
        needed = ctx.needs_input_grad[3:]
        dx_BLE = torch.empty_like(x_BLE) if needed[0] else None
        leaves = [
            w.detach().requires_grad_(need) for w, need in zip(weights, needed[1:], strict=True)
        ]
        trained = [leaf for leaf in leaves if leaf.requires_grad]
        sums = [torch.zeros_like(leaf) for leaf in trained]
        for start in range(0, len(x_BLE), ctx.rows):
            block = slice(start, start + ctx.rows)
            x = x_BLE[block].detach().requires_grad_(needed[0])
            with torch.enable_grad():
                y = ctx.function(x, lengths_B[block], leaves)
            sources = [x, *trained] if needed[0] else trained
            found = list(torch.autograd.grad(y, sources, gradients[0][block]))
            if dx_BLE is not None:
                dx_BLE[block] = found.pop(0)
            for total, part in zip(sums, found, strict=True):
                total.add_(part)
        totals = iter(sums)
        return (None, None, None, dx_BLE, *(next(totals) if need else None for need in needed[1:]))
