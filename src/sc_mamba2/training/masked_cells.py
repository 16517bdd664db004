"""Where pretraining's batches come from: a token store, an order, and masks.

The store keeps all genes; a model's vocabulary is a part of them, in the same order. Masks are
drawn for rows of the model's vocabulary.
"""

import numpy as np
import pandas as pd

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens import (
    MaskedBatch,
    MaskOptions,
    Ragged,
    Sampler,
    Tokenizer,
    TokenStore,
    make_batch,
    mask_tokens,
    weights_by_group,
)
from sc_mamba2.training.options import HeldOut, SamplingOptions
from sc_mamba2.training.ranks import ALONE, Ranks

_READ_AT_ONCE = 4096  # cells, when all of a store is looked through


class KnownGenes:
    """The cells of a store of all genes as a model with a smaller vocabulary sees them.

    The model's vocabulary is a part of the store's, in the same order.
    """

    def __init__(self, store: TokenStore, vocabulary: Vocabulary) -> None:
        self.store = store
        self._row = vocabulary.rows_of(store.tokenizer.vocabulary.ids)

    def __len__(self) -> int:
        """Count the cells."""
        return len(self.store)

    @property
    def lengths(self) -> np.ndarray:
        """Genes a cell in the store, (N,); a cell may have fewer that the model knows."""
        return self.store.lengths

    def gather(self, cells: np.ndarray) -> Ragged:
        """Return the entries of cells that the model knows, in rows of its vocabulary."""
        found = self.store.gather(cells)
        rows = self._row[found.gene_rows]
        known = rows >= 0
        before = np.concatenate([[0], np.cumsum(known)])
        return Ragged(rows[known], found.bins[known], found.values[known], before[found.offsets])


class MaskedCells:
    """Masked batches of some cells of a store: pure functions of the step.

    Parameters
    ----------
    store, cells
        Tokens of all genes, and (N,) positions in it.
    tokenizer
        The model's: its vocabulary is a part of the store's.
    sampling, masks
        Order and masks.
    batch_size
        Cells of a step.
    seed
        Of order and masks.
    """

    def __init__(
        self,
        store: TokenStore,
        cells: np.ndarray,
        tokenizer: Tokenizer,
        sampling: SamplingOptions,
        masks: MaskOptions,
        batch_size: int,
        seed: int,
    ) -> None:
        self.store, self.positions, self.tokenizer = store, cells, tokenizer
        self.masks, self.seed = masks, seed
        self.source = KnownGenes(store, tokenizer.vocabulary)
        self.sampler = make_sampler(store, cells, sampling, batch_size, seed)

    def cells(self, step: int) -> tuple[np.ndarray, int]:
        """Give the positions of a step's cells, over all processes, and their epoch."""
        epoch, batch = divmod(step, len(self.sampler))
        return self.positions[next(self.sampler.batches(epoch, batch))], epoch

    def load(self, cells: np.ndarray, epoch: int) -> MaskedBatch:
        """Give cells as a masked batch, in rows of the model's vocabulary."""
        batch = make_batch(self.source, cells, self.tokenizer.vocabulary)
        # By the store's lengths: the model may not know all genes of a cell that was cut.
        cut_B = self.store.lengths[cells] + 1 >= self.tokenizer.rules.max_length
        return mask_tokens(batch, self.tokenizer, self.masks, self.seed, epoch, cut_B=cut_B)

    def names(self, cells: np.ndarray) -> list[str]:
        """Name the first cells."""
        return [str(name) for name in self.store.take(cells[:3]).obs.index]


def make_sampler(
    store: TokenStore, cells: np.ndarray, sampling: SamplingOptions, batch_size: int, seed: int
) -> Sampler:
    """Make the order in which some cells of a store are drawn."""
    weights = None
    if sampling.column is not None:
        groups = read_column(store, sampling.column)[cells]
        sizes = dict(zip(*np.unique(groups, return_counts=True), strict=True))
        by_size = {str(name): float(size) ** sampling.power for name, size in sizes.items()}
        weights = weights_by_group(groups, sampling.shares or by_size)
    lengths = store.lengths[cells]
    return Sampler(lengths, batch_size, seed, sampling.block, sampling.window, weights)


def split_cells(store: TokenStore, held_out: HeldOut) -> tuple[np.ndarray, np.ndarray]:
    """Part the cells of a store into those to train on and those that judge.

    Raises a `UserError` of the rule `held-out`: a value that no cell has, or no cell left to train on.
    """
    everything = np.arange(len(store))
    if not held_out.values:
        return everything, everything[:0]
    groups = read_column(store, held_out.column)
    there = set(map(str, pd.unique(groups)))
    for value in held_out.values:
        if value not in there:
            raise UserError(
                "held-out",
                found=f"no cell with {held_out.column} '{value}'",
                expected="values in the corpus",
                mend="correct held_out.values" + nearest(value, sorted(there)),
            )
    judging = np.isin(groups, held_out.values)
    if judging.all():
        raise UserError(
            "held-out",
            found=f"all cells held out by {held_out.column}",
            expected="cells to train on",
            mend="hold out fewer values",
        )
    return everything[~judging], everything[judging]


def even_sample(cells: np.ndarray, most: int) -> np.ndarray:
    """Take at most so many cells, spread evenly over all."""
    count = min(most, len(cells))
    return cells[np.arange(count) * len(cells) // max(1, count)]


def seen_vocabulary(
    store: TokenStore, cells: np.ndarray, least: int = 1, ranks: Ranks = ALONE
) -> Vocabulary:
    """Keep the genes of the store's vocabulary that so many cells express at least.

    Each process reads its share of the cells.
    """
    cells = np.array_split(cells, ranks.size)[ranks.rank]
    vocabulary = store.tokenizer.vocabulary
    cells_V = np.zeros(vocabulary.size, dtype=np.int64)
    for start in range(0, len(cells), _READ_AT_ONCE):
        rows_T = store.gather(cells[start : start + _READ_AT_ONCE]).gene_rows
        cells_V += np.bincount(rows_T, minlength=vocabulary.size)
    cells_V = ranks.sum_counts(cells_V)
    return vocabulary.subset([vocabulary.ids[row] for row in np.flatnonzero(cells_V >= least)])


def read_column(store: TokenStore, name: str) -> np.ndarray:
    """Read a column of obs that the corpus kept, (N,) text; rule `corpus-column` where it did not."""
    known = store.manifest.obs_columns or []
    if name not in known:
        raise UserError(
            "corpus-column",
            found=f"no column '{name}' in the corpus",
            expected="one of " + ", ".join(known[:12]),
            mend="choose a column that was kept at ingestion" + nearest(name, known),
        )
    # Alone: every process holds it, and a large corpus has many columns of many cells.
    return store.obs([name])[name].astype(str).to_numpy()
