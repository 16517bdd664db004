"""Cells of a token store as a training reads them: their order, the held-out ones, the genes they express.

The store holds all genes; a model's vocabulary is a subset, in the same order.
"""

import numpy as np
import pandas as pd

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens import Ragged, Sampler, Tokenizer, TokenStore, weights_by_group
from sc_mamba2.training.options import HeldOut, SamplingOptions
from sc_mamba2.training.ranks import ALONE, Ranks

_READ_AT_ONCE = 4096  # cells per read when scanning a whole store


class KnownGenes:
    """View of a store restricted to a model's vocabulary, a subset of the store's in the same order."""

    def __init__(self, store: TokenStore, vocabulary: Vocabulary) -> None:
        self.store = store
        self._row = vocabulary.rows_of(store.tokenizer.vocabulary.ids)

    def __len__(self) -> int:
        """Return the number of cells."""
        return len(self.store)

    @property
    def lengths(self) -> np.ndarray:
        """Genes per cell in the store, (N,); the model may know fewer of them."""
        return self.store.lengths

    def gather(self, cells: np.ndarray) -> Ragged:
        """Return the entries of cells for genes that the model knows, as rows of its vocabulary."""
        found = self.store.gather(cells)
        rows = self._row[found.gene_rows]
        known = rows >= 0
        before = np.concatenate([[0], np.cumsum(known)])
        return Ragged(rows[known], found.bins[known], found.values[known], before[found.offsets])


class CorpusCells:
    """Batches of some cells of a store, as pure functions of the step; subclasses add `load`.

    Parameters
    ----------
    store, cells
        Tokens of all genes, and (N,) positions in it.
    tokenizer
        The model's; its vocabulary is a subset of the store's.
    sampling
        Order of the cells.
    batch_size
        Cells of a step, over all processes.
    seed
        Seed of the order and of what `load` draws.
    """

    def __init__(
        self,
        store: TokenStore,
        cells: np.ndarray,
        tokenizer: Tokenizer,
        sampling: SamplingOptions,
        batch_size: int,
        seed: int,
    ) -> None:
        self.store, self.positions, self.tokenizer, self.seed = store, cells, tokenizer, seed
        self.source = KnownGenes(store, tokenizer.vocabulary)
        self.sampler = make_sampler(store, cells, sampling, batch_size, seed)

    def cells(self, step: int) -> tuple[np.ndarray, int]:
        """Return the positions of a step's cells, over all processes, and their epoch."""
        epoch, batch = divmod(step, len(self.sampler))
        return self.positions[next(self.sampler.batches(epoch, batch))], epoch

    def names(self, cells: np.ndarray) -> list[str]:
        """Return the names of the first three cells."""
        return [str(name) for name in self.store.take(cells[:3]).obs.index]


def make_sampler(
    store: TokenStore, cells: np.ndarray, sampling: SamplingOptions, batch_size: int, seed: int
) -> Sampler:
    """Build the sampler for some cells of a store."""
    weights = None
    if sampling.column is not None:
        groups = read_column(store, sampling.column)[cells]
        sizes = dict(zip(*np.unique(groups, return_counts=True), strict=True))
        by_size = {str(name): float(size) ** sampling.power for name, size in sizes.items()}
        weights = weights_by_group(groups, sampling.shares or by_size)
    lengths = store.lengths[cells]
    return Sampler(lengths, batch_size, seed, sampling.block, sampling.window, weights)


def split_cells(store: TokenStore, held_out: HeldOut) -> tuple[np.ndarray, np.ndarray]:
    """Split the cells of a store into training and held-out cells.

    Raises a `UserError` (rule `held-out`) for a value that no cell has, or if no training cell is left.
    """
    everything = np.arange(len(store))
    if not held_out.values:
        return everything, everything[:0]
    groups = read_column(store, held_out.column)
    present = set(map(str, pd.unique(groups)))
    for value in held_out.values:
        if value not in present:
            raise UserError(
                "held-out",
                found=f"no cell with {held_out.column} '{value}'",
                expected="values in the corpus",
                mend="correct held_out.values" + nearest(value, sorted(present)),
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
    """Return at most `most` cells, evenly spaced."""
    count = min(most, len(cells))
    return cells[np.arange(count) * len(cells) // max(1, count)]


def expressed_vocabulary(
    store: TokenStore, cells: np.ndarray, least: int = 1, ranks: Ranks = ALONE
) -> Vocabulary:
    """Return the store's vocabulary without genes expressed by fewer than `least` of the cells.

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
    """Read an obs column of the corpus, (N,) text; raise a `UserError` (rule `corpus-column`) if missing."""
    known = store.manifest.obs_columns or []
    if name not in known:
        raise UserError(
            "corpus-column",
            found=f"no column '{name}' in the corpus",
            expected="one of " + ", ".join(known[:12]),
            mend="choose a column that was kept at ingestion" + nearest(name, known),
        )
    # Only this column: every process holds it, and obs of a large corpus is big.
    return store.obs([name])[name].astype(str).to_numpy()
