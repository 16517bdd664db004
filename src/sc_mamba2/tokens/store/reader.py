"""Read a token store lazily: columns are memory-mapped, not loaded."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from sc_mamba2.errors import UserError, nearest
from sc_mamba2.files import restored
from sc_mamba2.remote import local_copy
from sc_mamba2.tokens.store.manifest import (
    COLUMNS,
    OBS,
    TOKENIZER,
    FileEntry,
    Manifest,
    ShardEntry,
    column_types,
    damaged,
    read_manifest,
    stack_obs,
)
from sc_mamba2.tokens.tokenized import Ragged, TokenizedCells, gather_runs, offsets_of
from sc_mamba2.tokens.tokenizer import Tokenizer


class TokenStore:
    """Cells of a store as they were when it was opened; made by `TokenStore.open`.

    It can be pickled and opened by many processes at once: the system keeps one copy of what they
    read. Shards never change, so appending does not disturb readers. The tokenizer has the
    vocabulary of `gene_rows` and the rules of `bins`.
    """

    def __init__(self, folder: Path, manifest: Manifest, tokenizer: Tokenizer) -> None:
        self.folder = folder
        self.manifest = manifest
        self.tokenizer = tokenizer
        self._starts = offsets_of(np.array([shard.cells for shard in manifest.shards], np.int64))
        self._mapped: dict[int, Ragged] = {}

    @classmethod
    def open(cls, folder: str | Path) -> "TokenStore":
        """Open a store, or the copy of a remote one; check the manifest, the tokenizer and all sizes.

        Raises
        ------
        UserError
            There is no store, a file is missing or has another size, or the manifest is damaged.
        """
        folder = restored(local_copy(folder))
        manifest = read_manifest(folder)
        tokenizer = read_tokenizer(folder, manifest)
        for shard in manifest.shards:
            for name, entry in shard.files.items():
                _check_size(folder / shard.name / name, entry)
        return cls(folder, manifest, tokenizer)

    def __reduce__(self) -> tuple:
        """Pickle without the memory maps; the other process opens its own."""
        return TokenStore, (self.folder, self.manifest, self.tokenizer)

    def __len__(self) -> int:
        """Return the number of cells."""
        return int(self._starts[-1])

    @cached_property
    def lengths(self) -> np.ndarray:
        """Genes per cell, (N,) int32, without `<cls>`; reads the offsets of all shards once."""
        parts = [np.diff(self._columns(shard).offsets) for shard in range(len(self._starts) - 1)]
        return np.concatenate([np.zeros(0, np.int32), *parts]).astype(np.int32)

    def obs(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Return the table of the N cells with the chosen columns, by default all."""
        return stack_obs([self._obs(shard, columns) for shard in self.manifest.shards])

    def gather(self, cells: np.ndarray) -> Ragged:
        """Return the entries of some cells in the store's own types, ready for `make_batch`.

        Parameters
        ----------
        cells
            (B,) positions, 0 to N - 1, in any order; may repeat. Contiguous runs are fast.

        Returns
        -------
        Ragged
            Read-only views if the cells are one run in one shard, else copies.

        Raises
        ------
        IndexError, UserError
            A position outside the store; a damaged shard.
        """
        cells = np.asarray(cells, dtype=np.int64)
        if len(cells) and not 0 <= cells.min() <= cells.max() < len(self):
            raise IndexError(f"positions from {cells.min()} to {cells.max()} of {len(self)} cells")
        shards = np.searchsorted(self._starts, cells, side="right") - 1
        if len(cells) and (shards == shards[0]).all():
            return gather_runs(*self._columns(shards[0]), cells - self._starts[shards[0]])
        return self._gather_across(cells, shards)

    def take(self, cells: np.ndarray, columns: Sequence[str] | None = None) -> TokenizedCells:
        """Load some cells with their rows of `obs`: a copy in memory, equal to what was written.

        Parameters
        ----------
        cells
            Positions, 0 to N - 1, in any order, or a mask of N.
        columns
            Columns of `obs` to keep; by default all.
        """
        cells = np.asarray(cells)
        cells = np.flatnonzero(cells) if cells.dtype == bool else cells.astype(np.int64)
        gene_rows, bins, values, offsets = self.gather(cells)
        unique, places = np.unique(cells, return_inverse=True)
        bounds = np.searchsorted(unique, self._starts)
        tables = [
            self._obs(shard, columns).iloc[unique[first:last] - start]
            for shard, first, last, start in zip(
                self.manifest.shards, bounds[:-1], bounds[1:], self._starts[:-1], strict=True
            )
            if last > first or len(unique) == 0
        ]
        return TokenizedCells(
            np.array(gene_rows, np.int32),
            np.array(bins, np.int16),
            np.array(values, np.float32),
            offsets,
            stack_obs(tables).iloc[places],
        )

    def verify(self) -> None:
        """Read every byte; refuse the first file that does not match its recorded SHA-256."""
        for index, shard in enumerate(self.manifest.shards):
            for name, entry in shard.files.items():
                _check_content(self.folder / shard.name / name, entry)
            self._columns(index)
        _check_content(self.folder / TOKENIZER, self.manifest.tokenizer)

    def _columns(self, index: int) -> Ragged:
        """Map a shard's columns, once per process."""
        if index in self._mapped:
            return self._mapped[index]
        columns, shard = [], self.manifest.shards[index]
        for name, dtype in column_types(self.tokenizer).items():
            path = self.folder / shard.name / f"{name}.npy"
            count = shard.cells + 1 if name == "offsets" else shard.tokens
            try:
                column = np.load(path, mmap_mode="r", allow_pickle=False)
            except Exception as error:  # a damaged header makes numpy's parser fail in many ways
                raise damaged(path, f"no array ({error})") from error
            if column.dtype != dtype or column.shape != (count,):
                raise damaged(path, f"{column.dtype} {column.shape} for {dtype} ({count},)")
            columns.append(column.view(np.ndarray))
        offsets = columns[-1]
        if offsets[0] != 0 or offsets[-1] != shard.tokens or (np.diff(offsets) < 0).any():
            raise damaged(path, "offsets that do not rise from 0 to the number of tokens")
        self._mapped[index] = Ragged(*columns)
        return self._mapped[index]

    def _obs(self, shard: ShardEntry, columns: Sequence[str] | None) -> pd.DataFrame:
        known = self.manifest.obs_columns or []
        for name in columns or ():
            if name not in known:
                raise UserError(
                    "store-columns",
                    found=f"no column '{name}' in the cells of '{self.folder}'",
                    expected=f"one of {', '.join(known) or 'none'}",
                    mend="choose a column of the store" + nearest(name, known),
                )
        path = self.folder / shard.name / OBS
        try:
            table = pd.read_parquet(path, columns=None if columns is None else list(columns))
        except Exception as error:
            raise damaged(path, f"no table of cells ({error})") from error
        if len(table) != shard.cells:
            raise damaged(path, f"{len(table):,} rows for {shard.cells:,} cells")
        return table

    def _gather_across(self, cells: np.ndarray, shards: np.ndarray) -> Ragged:
        """Pick cells from several shards in order, one slice per contiguous run.

        In a large store training alternates between shards, so the work per shard must not be repeated
        at each change of shard.
        """
        begins, ends = np.zeros((2, len(cells)), np.int64)
        for shard in np.unique(shards).tolist():
            here, offsets = shards == shard, self._columns(shard).offsets
            places = cells[here] - self._starts[shard]
            begins[here], ends[here] = offsets[places], offsets[places + 1]
        changes = np.diff(shards, prepend=-1) != 0
        firsts = np.flatnonzero(changes | (np.diff(cells, prepend=-2) != 1))
        lasts = np.append(firsts, len(cells))[1:] - 1
        bounds = (shards[firsts].tolist(), begins[firsts].tolist(), ends[lasts].tolist())
        runs = [(self._columns(shard), slice(*run)) for shard, *run in zip(*bounds, strict=True)]
        types = column_types(self.tokenizer)
        columns = {
            name: np.concatenate(
                [np.zeros(0, types[name]), *(getattr(shard, name)[run] for shard, run in runs)]
            )
            for name in COLUMNS[:-1]
        }
        return Ragged(**columns, offsets=offsets_of(ends - begins))


def read_tokenizer(folder: Path, manifest: Manifest) -> Tokenizer:
    """Read a store's tokenizer; refuse a changed file."""
    path = folder / TOKENIZER
    _check_content(path, manifest.tokenizer)
    return Tokenizer.from_json(path.read_text("utf-8"))


def _check_size(path: Path, entry: FileEntry) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise damaged(path, f"cannot be read ({error.strerror})") from error
    if size != entry.size:
        raise damaged(path, f"{size:,} bytes for {entry.size:,}")


def _check_content(path: Path, entry: FileEntry) -> None:
    _check_size(path, entry)
    if FileEntry.of(path) != entry:
        raise damaged(path, "its content does not match its SHA-256")
