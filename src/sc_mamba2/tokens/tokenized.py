"""Cells as tokens: ragged arrays of gene rows, bins and values, with the cells' table beside them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class TokenizedCells:
    """N cells as ragged rows; cell i owns the entries ``offsets[i]:offsets[i + 1]``.

    Special tokens are not stored: `<cls>` and the pads are put in when a batch is made.

    Attributes
    ----------
    gene_rows
        (T,) int32, rows of the tokenizer's vocabulary, rising within a cell.
    bins
        (T,) int16, 1 to n_bins - 1.
    values
        (T,) float32, log-normalised expression, positive.
    offsets
        (N + 1,) int64, first entry 0, last entry T.
    obs
        N rows: name of the cell and the columns that were kept with it.
    """

    gene_rows: np.ndarray
    bins: np.ndarray
    values: np.ndarray
    offsets: np.ndarray
    obs: pd.DataFrame

    def __post_init__(self) -> None:
        assert len(self.offsets) == len(self.obs) + 1
        assert len(self.gene_rows) == len(self.bins) == len(self.values) == self.offsets[-1]

    def __len__(self) -> int:
        """Count the cells."""
        return len(self.obs)

    @property
    def lengths(self) -> np.ndarray:
        """Genes a cell, (N,) int64, without `<cls>`."""
        return np.diff(self.offsets)

    def take(self, cells: np.ndarray) -> "TokenizedCells":
        """Return the chosen cells in the given order; `cells` holds positions or a mask."""
        positions = np.arange(len(self))[cells]
        entries, offsets = self.entries_of(positions)
        return TokenizedCells(
            self.gene_rows[entries],
            self.bins[entries],
            self.values[entries],
            offsets,
            self.obs.iloc[positions],
        )

    def entries_of(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the entries of the cells at `positions`, one cell after another, and their offsets."""
        lengths = self.lengths[positions]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
        return np.repeat(self.offsets[positions], lengths) + within, offsets
