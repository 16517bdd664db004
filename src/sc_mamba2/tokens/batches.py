"""Batches: right-padded rows of tokens with `<cls>` first, and the order in which cells are read.

Legend: B cells of a batch, L tokens of its longest cell with `<cls>`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens.tokenized import TokenizedCells

PAD_BIN = -2.0
WINDOW = 100  # batches that are sorted by length together


@dataclass(frozen=True)
class Batch:
    """A batch of cells.

    Attributes
    ----------
    token_ids_BL
        int64, `<cls>` first, then genes in vocabulary order, then `<pad>`.
    bins_BL
        float32, 0 at `<cls>`, 1 to n_bins - 1 at genes, -2 at pads.
    values_BL
        float32, log-normalised expression; 0 at `<cls>` and pads.
    lengths_B
        int64, real tokens with `<cls>`.
    cells_B
        int64, positions of the cells in the tokenised set.
    """

    token_ids_BL: Tensor
    bins_BL: Tensor
    values_BL: Tensor
    lengths_B: Tensor
    cells_B: Tensor

    def to(self, device: torch.device | str) -> "Batch":
        """Return the batch on another device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def make_batch(tokens: TokenizedCells, cells: np.ndarray, vocabulary: Vocabulary) -> Batch:
    """Collate the cells at the positions `cells` into one right-padded batch."""
    entries, offsets = tokens.entries_of(cells)
    lengths = np.diff(offsets)
    row = np.repeat(np.arange(len(cells)), lengths)
    column = 1 + np.arange(len(entries)) - np.repeat(offsets[:-1], lengths)
    shape = (len(cells), 1 + int(lengths.max(initial=0)))
    token_ids = np.full(shape, vocabulary.pad_id, dtype=np.int64)
    bins = np.full(shape, PAD_BIN, dtype=np.float32)
    values = np.zeros(shape, dtype=np.float32)
    token_ids[:, 0], bins[:, 0] = vocabulary.cls_id, 0
    token_ids[row, column] = tokens.gene_rows[entries]
    bins[row, column] = tokens.bins[entries]
    values[row, column] = tokens.values[entries]
    return Batch(
        *map(torch.from_numpy, (token_ids, bins, values, lengths + 1, np.asarray(cells, np.int64)))
    )


def training_order(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Order the cells of one epoch into length-bucketed batches.

    A pure function of its arguments: cells are shuffled by (seed, epoch), sorted by length within
    windows of 100 batches, cut into batches, and the batches shuffled. Every cell comes once.

    Parameters
    ----------
    lengths
        (N,) genes a cell.
    batch_size
        Cells a batch; the last one may be smaller.
    seed, epoch
        Not negative.

    Returns
    -------
    list of ndarray
        Positions of the cells, one array a batch.
    """
    generator = np.random.default_rng([seed, epoch])
    shuffled = generator.permutation(len(lengths))
    span = batch_size * WINDOW
    batches = []
    for start in range(0, len(shuffled), span):
        window = shuffled[start : start + span]
        window = window[np.argsort(lengths[window], kind="stable")]
        batches += [window[at : at + batch_size] for at in range(0, len(window), batch_size)]
    return [batches[place] for place in generator.permutation(len(batches))]


def reading_order(lengths: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Give the cells sorted by length, in batches: for encoding and prediction, without chance."""
    order = np.argsort(lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def useful_share(lengths: np.ndarray, batches: list[np.ndarray]) -> float:
    """Return the share of a padded epoch's tokens that are real (with `<cls>`), from 0 to 1."""
    real = sum(int(lengths[batch].sum()) + len(batch) for batch in batches)
    padded = sum(len(batch) * (1 + int(lengths[batch].max(initial=0))) for batch in batches)
    return real / padded if padded else 1.0
