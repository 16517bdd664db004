"""Which tokens of right-padded rows are real, and the reversal of only those.

B cells, L tokens.
"""

import torch
from torch import Tensor


def real_tokens(lengths_B: Tensor, length: int) -> Tensor:
    """Mark the real tokens of right-padded rows.

    Parameters
    ----------
    lengths_B
        Real tokens of each row, (B,), 0 to `length`.
    length
        Tokens of a row, pads included.

    Returns
    -------
    Tensor
        (B, length), bool, true at real tokens.
    """
    return torch.arange(length, device=lengths_B.device) < lengths_B[:, None]


def smart_flip(x_BL: Tensor, lengths_B: Tensor) -> Tensor:
    """Reverse the real tokens of right-padded rows; the pads stay on the right.

    Parameters
    ----------
    x_BL
        Rows, (B, L, ...).
    lengths_B
        Real tokens of each row, (B,), 0 to L.

    Returns
    -------
    Tensor
        (B, L, ...); its own inverse.
    """
    position_L = torch.arange(x_BL.shape[1], device=x_BL.device)
    mirrored_BL = lengths_B[:, None].to(position_L) - 1 - position_L
    source_BL = torch.where(mirrored_BL >= 0, mirrored_BL, position_L)
    source = source_BL.reshape(*source_BL.shape, *([1] * (x_BL.dim() - 2)))
    return x_BL.gather(1, source.expand_as(x_BL))
