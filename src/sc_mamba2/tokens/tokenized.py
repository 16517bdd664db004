"""Tokenised cells: ragged arrays of gene rows, bins and values, with the cells' table.

Between two nodes of a pipeline they are stored in a folder that is written once and read whole. For
sets that grow or exceed memory there is `TokenStore`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file
from scipy import sparse

from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_folder, restored


class Ragged(NamedTuple):
    """Entries of some cells; cell i owns ``offsets[i]:offsets[i + 1]`` of each column.

    `gene_rows`, `bins` and `values` are (T,), in the types of their source; `offsets` is (B + 1,)
    int64 from 0 to T.
    """

    gene_rows: np.ndarray
    bins: np.ndarray
    values: np.ndarray
    offsets: np.ndarray


class TokenSource(Protocol):
    """Source of batches: tokens in memory (`TokenizedCells`) or on disk (`TokenStore`)."""

    def __len__(self) -> int:
        """Return the number of cells."""

    @property
    def lengths(self) -> np.ndarray:
        """Genes per cell, (N,), without `<cls>`."""

    def gather(self, cells: np.ndarray) -> Ragged:
        """Return the entries of the cells at the positions `cells`, in that order."""


@dataclass(frozen=True)
class TokenizedCells:
    """N cells as ragged rows; cell i owns the entries ``offsets[i]:offsets[i + 1]``.

    Special tokens are not stored: `<cls>` and pads are added when a batch is made.

    Attributes
    ----------
    gene_rows
        (T,) int32, rows of the tokenizer's vocabulary, by default ascending within a cell.
    bins
        (T,) int16, 1 to n_bins - 1.
    values
        (T,) float32, log-normalised expression, positive.
    offsets
        (N + 1,) int64, first entry 0, last entry T.
    obs
        N rows: cell names and the columns kept.
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
        """Return the number of cells."""
        return len(self.obs)

    @property
    def lengths(self) -> np.ndarray:
        """Genes per cell, (N,) int64, without `<cls>`."""
        return np.diff(self.offsets)

    def gather(self, cells: np.ndarray) -> Ragged:
        """Return the entries of the cells at the positions `cells`, in that order."""
        return gather_runs(self.gene_rows, self.bins, self.values, self.offsets, cells)

    def take(self, cells: np.ndarray) -> "TokenizedCells":
        """Return the chosen cells in the given order; `cells` holds positions or a mask."""
        positions = np.arange(len(self))[cells]
        return TokenizedCells(*self.gather(positions), self.obs.iloc[positions])

    def keep(self, kept_T: np.ndarray) -> "TokenizedCells":
        """Return the cells with only some of their entries, chosen by (T,) bool."""
        return TokenizedCells(
            self.gene_rows[kept_T],
            self.bins[kept_T],
            self.values[kept_T],
            offsets_of(kept_T)[self.offsets],
            self.obs,
        )


def stack_cells(parts: list[TokenizedCells]) -> TokenizedCells:
    """Concatenate the cells of one or more sets."""
    return TokenizedCells(
        np.concatenate([part.gene_rows for part in parts]),
        np.concatenate([part.bins for part in parts]),
        np.concatenate([part.values for part in parts]),
        offsets_of(np.concatenate([part.lengths for part in parts])),
        pd.concat([part.obs for part in parts]),
    )


def as_matrix(cells: Ragged | TokenizedCells, size: int) -> sparse.csr_matrix:
    """Return the values of some cells as a matrix, cells x rows of the vocabulary, float64.

    Double precision keeps derived results independent of a machine's rounding.
    """
    entries = (cells.values.astype(np.float64), cells.gene_rows.astype(np.int64), cells.offsets)
    return sparse.csr_matrix(entries, shape=(len(cells.offsets) - 1, size))


def gather_runs(
    gene_rows: np.ndarray,
    bins: np.ndarray,
    values: np.ndarray,
    offsets: np.ndarray,
    cells: np.ndarray,
) -> Ragged:
    """Pick cells from ragged rows, one slice per contiguous run: fast for neighbouring cells.

    Returns views if all the cells are one run, else copies; positions may be unordered and repeat.
    """
    cells = np.asarray(cells, dtype=np.int64)
    firsts = cells[np.diff(cells, prepend=-2) != 1]
    lasts = cells[np.diff(cells, append=-2) != 1]
    runs = [slice(*run) for run in zip(offsets[firsts], offsets[lasts + 1], strict=True)]
    parts = [
        column[runs[0]]
        if len(runs) == 1
        else np.concatenate([column[:0], *(column[r] for r in runs)])
        for column in (gene_rows, bins, values)
    ]
    return Ragged(parts[0], parts[1], parts[2], offsets_of(offsets[cells + 1] - offsets[cells]))


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Return the offsets, (B + 1,) int64 from 0, of cells with (B,) `lengths`."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


_ARRAYS = ("gene_rows", "bins", "values", "offsets")


def save_tokens(tokens: TokenizedCells, folder: str | Path) -> None:
    """Write tokens as a folder, atomically."""
    with atomic_folder(folder) as draft:
        save_file({name: getattr(tokens, name) for name in _ARRAYS}, draft / "tokens.safetensors")
        tokens.obs.to_parquet(draft / "obs.parquet")


def load_tokens(folder: str | Path) -> TokenizedCells:
    """Read a folder that `save_tokens` wrote; refuse one that is missing or damaged."""
    folder = restored(folder)
    try:
        arrays = load_file(folder / "tokens.safetensors")
        obs = pd.read_parquet(folder / "obs.parquet")
        return TokenizedCells(**{name: arrays[name] for name in _ARRAYS}, obs=obs)
    except Exception as error:
        raise UserError(
            "tokens-damaged",
            found=f"'{folder}' is not a complete token folder ({error})",
            expected="tokens.safetensors and obs.parquet",
            mend="make it again with `scm run --pipeline tokenization`",
        ) from error
