"""Heads over long rows, some tokens at a time, so that no head's inner arrays span a whole genome.

B rows, L tokens, D width.
"""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sc_mamba2.model.heads import Expression

Result = TypeVar("Result")

# A head of width 1,536 then holds about 100 MB.
_EXPRESSION_TOKENS = 8_192


def expression_in_chunks(
    head: Callable[[Tensor], Expression], x_BL: Tensor, tokens: int = _EXPRESSION_TOKENS
) -> Expression:
    """Call a head of expression on some tokens of all rows at a time.

    Parameters
    ----------
    head
        From a part of `x_BL` along the tokens to its expression, (B, part).
    x_BL
        Hidden vectors, (B, L, D), or token ids, (B, L).
    tokens
        Tokens at a time, over all rows. Beyond that, a part is computed again for the gradient.
    """
    columns = max(1, tokens // max(1, len(x_BL)))
    if x_BL.shape[1] <= columns:
        return head(x_BL)
    parts = [_again(head, part) for part in x_BL.split(columns, dim=1)]
    value_BL = torch.cat([part.value for part in parts], dim=1)
    nonzero = [part.nonzero_probability for part in parts if part.nonzero_probability is not None]
    return Expression(value_BL, torch.cat(nonzero, dim=1) if nonzero else None)


def _again(function: Callable[..., Result], *arguments: Tensor) -> Result:
    """Call a function; where a gradient is wanted, keep only its arguments and call it again."""
    if not torch.is_grad_enabled():
        return function(*arguments)
    found: Result = checkpoint(function, *arguments, use_reentrant=False)
    return found
