"""Plan which tokens are processed together: groups of cells of similar length, cut into blocks of tokens.

A block fits in cache. Cells are read in either direction by token indices, which covers ragged rows,
packed rows and reversal alike. R cells of a group, T tokens of a block, E width.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from sc_mamba2.ops.rows import Spans

# Longer chunks mean more work within them, shorter ones more states; GPUs prefer 256.
CHUNK = 64


@dataclass(frozen=True)
class Block:
    """Tokens of a group of R cells, in reading order, cut into equal chunks.

    Attributes
    ----------
    tokens
        Positions in the flat tokens: a slice of one cell, or an index (R T,).
    flipped
        Whether the slice is read from its end.
    real_RT
        Mask of real tokens, `None` if all are real. The others point to some token of the cell.
    chunk
        Tokens of a chunk; it divides T.
    """

    tokens: slice | Tensor
    flipped: bool
    real_RT: Tensor | None
    cells: int
    chunk: int

    def read(self, source_TE: Tensor, kind: torch.dtype) -> Tensor:
        """Read the block, (R, T, E); values beyond the end of a cell are meaningless."""
        if isinstance(self.tokens, slice):
            part_RTE = source_TE[self.tokens].unsqueeze(0)
            return (part_RTE.flip(1) if self.flipped else part_RTE).to(kind)
        part_RTE = source_TE.index_select(0, self.tokens)
        return part_RTE.view(self.cells, -1, part_RTE.shape[-1]).to(kind)

    def read_real(self, source_TE: Tensor, kind: torch.dtype) -> Tensor:
        """Read the block, with zeros beyond the end of a cell."""
        part_RTE = self.read(source_TE, kind)
        if self.real_RT is None:
            return part_RTE
        return part_RTE.masked_fill(~self.real_RT.unsqueeze(-1), 0)

    def add(self, target_TE: Tensor, part_RTE: Tensor) -> None:
        """Add the real tokens of the block to `target_TE` at their positions."""
        if isinstance(self.tokens, slice):
            part_TE = part_RTE[0].flip(0) if self.flipped else part_RTE[0]
            target_TE[self.tokens].add_(part_TE)
        elif self.real_RT is None:
            target_TE.index_add_(0, self.tokens, part_RTE.flatten(0, 1).to(target_TE.dtype))
        else:
            index = self.tokens[self.real_RT.flatten()]
            target_TE.index_add_(0, index, part_RTE[self.real_RT].to(target_TE.dtype))


@dataclass(frozen=True)
class Group:
    """Cells processed together: ranges, extremes of `lengths_R`, and a block's tokens, a multiple of `CHUNK`."""

    starts_R: Tensor
    lengths_R: Tensor
    shortest: int
    longest: int
    block_tokens: int

    def blocks(self, reverse: bool) -> list[Block]:
        """Cut the group into blocks, in the reading order of one direction."""
        return [self._block(at, reverse) for at in range(0, self.longest, self.block_tokens)]

    def _block(self, first: int, reverse: bool) -> Block:
        wanted = min(self.block_tokens, self.longest - first)
        chunks = -(-wanted // CHUNK)
        chunk = -(-wanted // chunks)
        size = chunks * chunk
        cells = len(self.starts_R)
        if cells == 1 and size == wanted:
            start = int(self.starts_R[0])
            low = start + (self.longest - first - size if reverse else first)
            return Block(slice(low, low + size), reverse, None, 1, chunk)
        position_T = torch.arange(first, first + size, device=self.starts_R.device)
        lengths_R1 = self.lengths_R.unsqueeze(1)
        real_RT = position_T < lengths_R1
        offset_RT = torch.minimum(position_T, lengths_R1 - 1)
        offset_RT = lengths_R1 - 1 - offset_RT if reverse else offset_RT
        tokens = (self.starts_R.unsqueeze(1) + offset_RT).flatten()
        full = first + size <= self.shortest
        return Block(tokens, False, None if full else real_RT, cells, chunk)


def plan_groups(spans: Spans, tokens: int) -> Iterator[Group]:
    """Group cells of similar length, longest first, with about `tokens` tokens, at least one chunk, per block.

    `tokens` counts those of all cells of the group.
    """
    order = torch.argsort(spans.lengths, descending=True, stable=True)
    starts, lengths = spans.starts[order], spans.lengths[order]
    sizes = lengths.tolist()
    block_tokens = max(CHUNK, tokens // CHUNK * CHUNK)
    at = 0
    while at < len(sizes):
        together = max(1, tokens // max(sizes[at], CHUNK))
        part = slice(at, at + together)
        yield Group(starts[part], lengths[part], sizes[part][-1], sizes[at], block_tokens)
        at += together
