"""One process's part of a batch, in pieces that it can hold; every process has as many pieces."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from sc_mamba2.tokens import MaskedBatch, rank_share
from sc_mamba2.training.ranks import Ranks


class MaskedSource(Protocol):
    """Where batches come from; pure functions of their arguments."""

    def cells(self, step: int) -> tuple[np.ndarray, int]:
        """Give the cells of a step, over all processes, and the epoch they belong to."""

    def load(self, cells: np.ndarray, epoch: int) -> MaskedBatch:
        """Give these cells as a masked batch."""

    def names(self, cells: np.ndarray) -> list[str]:
        """Name cells for a message."""


def rank_batches(
    source: MaskedSource, cells: np.ndarray, epoch: int, size: int, ranks: Ranks
) -> Iterator[MaskedBatch]:
    """Load one process's share of a global batch.

    Parameters
    ----------
    source
        Where batches come from.
    cells
        (B,) positions over all processes, at least one.
    epoch
        Of the masks.
    size
        Cells of a piece at most.
    ranks
        This process among all.

    Yields
    ------
    MaskedBatch
        On the process's device. Processes that share a model act together, so each has the same
        number of pieces; one without cells of its own gets a piece that asks for nothing, and
        whose `cells_B` is empty.
    """
    share = rank_share(cells, ranks.rank, ranks.size)
    largest = -(-len(cells) // ranks.size)
    for part in np.array_split(share, -(-largest // size)):
        batch = source.load(part if len(part) else cells[:1], epoch)
        if not len(part):
            batch = batch.asks_nothing()
        yield batch.to(ranks.device)
