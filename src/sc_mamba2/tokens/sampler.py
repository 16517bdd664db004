"""The order in which training reads cells: a pure function of seed, epoch and position.

Neither workers, ranks nor restarts change it; what a batch holds stands in `batches`.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sc_mamba2.errors import UserError, nearest

# Streams of chance: numpy takes [s, e] and [s, e, 0] for one seed, and 1 is that of gene dropout.
_EPOCH, _WINDOW = 2, 3


class Sampler:
    """Cuts the cells of every epoch into global batches of about equal length.

    Blocks of neighbouring cells are shuffled, so that a store reads runs and not single cells; from
    epoch to epoch they are cut at other places. The blocks are laid end to end and divided into
    windows of whole batches. Within a window the cells are sorted by length, equal ones by chance,
    and cut into batches; then the batches of the window are shuffled.

    Without weights, every cell comes once an epoch. With weights the cells are drawn by systematic
    repetition: cell i comes ``r_i = N w_i / sum(w)`` times an epoch, rounded down or up by a start
    that each epoch draws, in expectation exactly. Drawing with replacement would have the same
    expectation, but would leave out a third of the cells by chance even where all weights are equal,
    and would give up the neighbourhoods.

    Beside `lengths`, which is not copied, the memory for N cells is 8 N / block bytes an epoch (7 MB
    for 57 million cells in blocks of 64) and 8 N for weights (456 MB; twice that while they are summed).

    Parameters
    ----------
    lengths
        (N,) genes a cell; any array that can be indexed, mapped ones included.
    batch_size
        Cells of a global batch, over all ranks; the last one of an epoch may be smaller.
    seed
        Not negative.
    block
        Neighbouring cells that are read together; 1 shuffles single cells.
    window
        Batches that are sorted by length together. More leave fewer pads, and mix more blocks.
    weights
        (N,) relative weights of the cells, not negative, or none. Copies of a cell lie about
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
        """Count the batches of an epoch; the same for all epochs."""
        return math.ceil(len(self.lengths) / self.batch_size)

    def batches(self, epoch: int, start: int = 0) -> Iterator[np.ndarray]:
        """Give the batches of an epoch from the batch `start` on.

        Parameters
        ----------
        epoch
            Not negative.
        start
            First batch, 0 to ``len(self)``: where a run that was stopped goes on. Costs no more
            than one window, whatever its value.

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
        """Return the cells at some places of the epoch's blocks laid end to end."""
        blocks = beginning.blocks[places // self.block]
        cells = self.block * blocks + places % self.block + beginning.shift
        cells %= len(self.lengths)
        return cells if self._draws is None else self._draws.cells(cells, beginning.offset)


@dataclass(frozen=True)
class _Beginning:
    """What an epoch draws once: order of the blocks (a shorter one is last), and two shifts."""

    epoch: int
    blocks: np.ndarray
    shift: int
    offset: float


class _Draws:
    """Systematic draws: N points at distance 1 on a line where cell i owns a stretch of r_i.

    Taken in steps of `stride`, the width of the widest stretch or more, neighbouring draws fall on
    cells that stand close, and never on one cell twice.
    """

    def __init__(self, weights: np.ndarray, count: int) -> None:
        assert weights.shape == (count,)
        assert np.isfinite(weights).all() and (weights >= 0).all() and weights.any()
        self.count = count
        self.ends = np.cumsum(weights, dtype=np.float64)
        self.ends *= count / self.ends[-1]
        # Rounding must put no draw behind the last cell that has a weight.
        self.ends[np.searchsorted(self.ends, self.ends[-1]) :] = np.inf
        self.stride = math.ceil(weights.max() * count / weights.sum())
        while math.gcd(self.stride, count) > 1:  # else not every draw would be reached
            self.stride += 1

    def cells(self, draws: np.ndarray, offset: float) -> np.ndarray:
        """Return the cells that own the draws; `offset`, 0 to below 1, shifts all of them."""
        return np.searchsorted(self.ends, draws * self.stride % self.count + offset, side="right")


def weights_by_group(groups: np.ndarray | pd.Series, shares: dict[str, float]) -> np.ndarray:
    """Weigh cells so that every group has its share of the draws, such as a tissue or a study.

    Parameters
    ----------
    groups
        (N,) name of each cell's group, such as a column of `obs`.
    shares
        Relative share of the draws by group, not negative; they need not sum to one. A group that
        is not named, and cells without a group, get none.

    Returns
    -------
    ndarray
        (N,) float64, the group's share divided by its number of cells.

    Raises
    ------
    UserError
        A share for a group that no cell belongs to.
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
    """Give the cells sorted by length, in batches: for encoding and prediction, without chance."""
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def rank_share(batch: np.ndarray, rank: int, ranks: int) -> np.ndarray:
    """Return one rank's part of a global batch: a run of it, of sizes that differ by one at most.

    The runs of all ranks, in their order, are the batch; there may be more ranks than cells.
    """
    assert 0 <= rank < ranks
    return batch[len(batch) * rank // ranks : len(batch) * (rank + 1) // ranks]
