"""The order in which training reads cells: a pure function of seed, epoch and position.

Neither workers, ranks nor restarts change it. `batches` defines what a batch holds.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sc_mamba2.errors import UserError, nearest

# Random streams: numpy treats [s, e] and [s, e, 0] as one seed, and 1 is used by gene dropout.
_EPOCH, _WINDOW = 2, 3


class Sampler:
    """Split the cells of every epoch into global batches of cells of similar length.

    Blocks of neighbouring cells are shuffled, so that a store reads runs and not single cells; block
    boundaries shift from epoch to epoch. The shuffled blocks are concatenated and divided into windows
    of whole batches. Within a window the cells are sorted by length, ties in random order, and cut
    into batches, which are then shuffled.

    Without weights, every cell occurs once per epoch. With weights the cells are drawn by systematic
    sampling: cell i occurs ``r_i = N w_i / sum(w)`` times per epoch, rounded up or down by an offset
    that is drawn per epoch, exact in expectation. Drawing with replacement would have the same
    expectation, but would miss a third of the cells by chance even with equal weights, and would
    lose the contiguous runs.

    In addition to `lengths`, which is not copied, N cells need 8 N / block bytes per epoch (7 MB
    for 57 million cells in blocks of 64) and 8 N for weights (456 MB; twice that while they are summed).

    Parameters
    ----------
    lengths
        (N,) genes per cell; any array that can be indexed, including memory-mapped ones.
    batch_size
        Cells in a global batch, over all ranks; the last one of an epoch may be smaller.
    seed
        Not negative.
    block
        Neighbouring cells that are read together; 1 shuffles single cells.
    window
        Batches that are sorted by length together. More need less padding, and mix more blocks.
    weights
        (N,) relative weights of the cells, not negative, or ``None``. Copies of a cell are about
        ``N / max(r)`` draws apart.
    """

    def __init__(
        self,
        lengths: np.ndarray,
        batch_size: int,
        seed: int,
        block: int = 64,
        window: int = 100,
        weights: np.ndarray | None = None,
    ) -> None:
        assert min(batch_size, block, window) > 0
        assert seed >= 0
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.block, self.window = block, window
        self._draws = None if weights is None else _Draws(np.asarray(weights), len(lengths))

    def __len__(self) -> int:
        """Return the number of batches per epoch, the same in all epochs."""
        return math.ceil(len(self.lengths) / self.batch_size)

    def batches(self, epoch: int, start: int = 0) -> Iterator[np.ndarray]:
        """Yield the batches of an epoch from the batch `start` on.

        Parameters
        ----------
        epoch
            Not negative.
        start
            First batch, 0 to ``len(self)``, to resume a stopped run. Costs at most one window,
            whatever its value.

        Yields
        ------
        ndarray
            (batch_size,) int64 positions of cells.
        """
        generator = np.random.default_rng([self.seed, epoch, _EPOCH])
        count = len(self.lengths)
        blocks = np.arange(-(-count // self.block))
        generator.shuffle(blocks[: count // self.block])
        shift = int(generator.integers(max(count, 1)))
        beginning = _Beginning(epoch, blocks, shift, generator.random())
        for first in range(start - start % self.window, len(self), self.window):
            yield from self._window_batches(beginning, first)[max(start - first, 0) :]

    def _window_batches(self, beginning: "_Beginning", first: int) -> list[np.ndarray]:
        """Return the batches of the window whose first batch is `first`."""
        stop = min((first + self.window) * self.batch_size, len(self.lengths))
        cells = self._cells(beginning, np.arange(first * self.batch_size, stop))
        generator = np.random.default_rng([self.seed, beginning.epoch, _WINDOW, first])
        cells = generator.permutation(cells)
        cells = cells[np.argsort(self.lengths[cells], kind="stable")]
        batches = np.split(cells, range(self.batch_size, len(cells), self.batch_size))
        return [batches[place] for place in generator.permutation(len(batches))]

    def _cells(self, beginning: "_Beginning", places: np.ndarray) -> np.ndarray:
        """Return the cells at some positions in the epoch's concatenated blocks."""
        blocks = beginning.blocks[places // self.block]
        cells = self.block * blocks + places % self.block + beginning.shift
        cells %= len(self.lengths)
        return cells if self._draws is None else self._draws.cells(cells, beginning.offset)


@dataclass(frozen=True)
class _Beginning:
    """What is drawn once per epoch: order of the blocks (a shorter one is last), and two shifts."""

    epoch: int
    blocks: np.ndarray
    shift: int
    offset: float


class _Draws:
    """Systematic sampling: N equidistant points on a line on which cell i covers a stretch of r_i.

    In steps of `stride`, at least the width of the widest stretch, consecutive draws fall on nearby
    cells, and never twice on the same cell.
    """

    def __init__(self, weights: np.ndarray, count: int) -> None:
        assert weights.shape == (count,)
        assert np.isfinite(weights).all() and (weights >= 0).all() and weights.any()
        self.count = count
        self.ends = np.cumsum(weights, dtype=np.float64)
        self.ends *= count / self.ends[-1]
        # Rounding must not place a draw after the last cell with a weight.
        self.ends[np.searchsorted(self.ends, self.ends[-1]) :] = np.inf
        self.stride = math.ceil(weights.max() * count / weights.sum())
        while math.gcd(self.stride, count) > 1:  # else some draws would not be reached
            self.stride += 1

    def cells(self, draws: np.ndarray, offset: float) -> np.ndarray:
        """Return the cells at the draws; `offset`, 0 to below 1, shifts all of them."""
        return np.searchsorted(self.ends, draws * self.stride % self.count + offset, side="right")


def weights_by_group(groups: np.ndarray | pd.Series, shares: dict[str, float]) -> np.ndarray:
    """Compute weights so that every group, such as a tissue or a study, has its share of the draws.

    Parameters
    ----------
    groups
        (N,) name of each cell's group, such as a column of `obs`.
    shares
        Relative share of the draws by group, not negative; need not sum to one. Unlisted groups
        and cells without a group get none.

    Returns
    -------
    ndarray
        (N,) float64, the group's share divided by its number of cells.

    Raises
    ------
    UserError
        A share for a group that has no cells.
    """
    names = pd.Series(np.asarray(groups, dtype=object))
    sizes = names.value_counts()
    for name in shares:
        if name not in sizes:
            raise UserError(
                "sampling-group",
                found=f"a share for the group '{name}', which has no cells",
                expected="names of groups of the cells",
                mend="correct the name" + nearest(name, sizes.index),
            )
    return (names.map(shares) / names.map(sizes)).fillna(0).to_numpy(np.float64)


def reading_order(lengths: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield the cells sorted by length, in batches: deterministic, for encoding and prediction."""
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def rank_share(batch: np.ndarray, rank: int, ranks: int) -> np.ndarray:
    """Return one rank's contiguous part of a global batch; sizes differ by at most one.

    The parts of all ranks, in order, make up the batch; there may be more ranks than cells.
    """
    assert 0 <= rank < ranks
    return batch[len(batch) * rank // ranks : len(batch) * (rank + 1) // ranks]
