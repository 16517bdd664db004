"""Positions of cells in the rows of a batch, and reversal of each cell in place.

`lengths` defines them everywhere: (B,) for one cell per row, or (B, S) for packed rows of up to S
consecutive cells from the left, 0 for none. The rest of a row is pads. B rows, L tokens.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Spans(NamedTuple):
    """The cells of a batch as ranges of its tokens, row by row, without empty cells."""

    starts: Tensor  # (cells,), int64
    lengths: Tensor  # (cells,), int64, at least 1


def real_tokens(lengths: Tensor, length: int) -> Tensor:
    """Mark the real tokens of right-padded rows, (B, length), bool.

    Parameters
    ----------
    lengths
        Real tokens of each row, (B,), or of each cell of packed rows, (B, S); on the rows' device.
    length
        Tokens of a row, pads included; an upper limit of its real tokens.
    """
    real_B = lengths if lengths.dim() == 1 else lengths.sum(1)
    return torch.arange(length, device=lengths.device) < real_B[:, None]


def cell_numbers(lengths: Tensor, length: int) -> Tensor:
    """Return the cell number of each token, from 0 in each row; pads have a number of their own.

    (B, length), int32, rising from left to right; parameters as in `real_tokens`.
    """
    ends_BS = _as_packed(lengths).cumsum(1)
    position_L = torch.arange(length, device=lengths.device)
    return torch.searchsorted(
        ends_BS, position_L.expand(len(ends_BS), -1).contiguous(), right=True, out_int32=True
    )


def tokens_near(lengths: Tensor, length: int) -> Tensor:
    """Count the tokens before and after each token within its cell, (2, B, length), int32; -1 at pads.

    Parameters as in `real_tokens`.
    """
    ends_BS = _as_packed(lengths).cumsum(1)
    bounds_BS = torch.nn.functional.pad(ends_BS, (1, 0))
    cell_BL = cell_numbers(lengths, length).long().clamp(max=ends_BS.shape[1] - 1)
    position_L = torch.arange(length, device=lengths.device)
    before_BL = position_L - bounds_BS.gather(1, cell_BL)
    after_BL = bounds_BS.gather(1, cell_BL + 1) - 1 - position_L
    near_2BL = torch.stack([before_BL, after_BL]).int()
    return near_2BL.masked_fill_(~real_tokens(lengths, length), -1)


def cell_spans(lengths: Tensor, length: int) -> Spans:
    """Return the cells of a batch as ranges of its tokens, in row order.

    Parameters as in `real_tokens`.
    """
    lengths_BS = _as_packed(lengths)
    row_B1 = torch.arange(len(lengths_BS), device=lengths.device).unsqueeze(1) * length
    starts_BS = row_B1 + lengths_BS.cumsum(1) - lengths_BS
    some = lengths_BS > 0
    return Spans(starts_BS[some], lengths_BS[some])


def smart_flip(x_BL: Tensor, lengths: Tensor) -> Tensor:
    """Reverse the real tokens of each cell in place, (B, L, ...); pads stay on the right. Self-inverse."""
    length = x_BL.shape[1]
    position_L = torch.arange(length, device=x_BL.device)
    ends_BS = _as_packed(lengths).cumsum(1)
    bounds_BS = torch.nn.functional.pad(ends_BS, (1, 0))
    cell_BL = cell_numbers(lengths, length).long().clamp(max=ends_BS.shape[1] - 1)
    mirrored_BL = bounds_BS.gather(1, cell_BL) + bounds_BS.gather(1, cell_BL + 1) - 1 - position_L
    source_BL = torch.where(real_tokens(lengths, length), mirrored_BL, position_L)
    source = source_BL.reshape(*source_BL.shape, *([1] * (x_BL.dim() - 2)))
    return x_BL.gather(1, source.expand_as(x_BL))


def _as_packed(lengths: Tensor) -> Tensor:
    return (lengths if lengths.dim() == 2 else lengths.unsqueeze(1)).long()
