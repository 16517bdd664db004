"""Embedded cells on disk, a file a block of cells; what is there whole is not computed again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.cells.opening import Source
from sc_mamba2.cells.standard_form import StandardForm
from sc_mamba2.errors import UserError
from sc_mamba2.files import atomic_file, clean_scratch, make_folder, remove_folder

LABEL, BATCH = "label", "batch"  # columns of the cells' table
_IDENTITY = "identity.json"


@dataclass(frozen=True, eq=False)
class EmbeddedBlocks:
    """N cells x D, in blocks of equal numbers of cells but for the last; `RowBlocks` of `cells`.

    Parameters
    ----------
    folder
        Holds `identity.json` and the blocks.
    source
        The cells that were embedded.
    width, cells_a_block
        D, and the cells of a block.
    obs
        N rows: names of the cells, and the keys that were named, as ``label`` and ``batch``.
    form
        How the source was read.
    coverage
        How much of the checkpoint, or of the index, its genes are (`coverage.check_genes`).
    """

    folder: Path
    source: Source
    width: int
    cells_a_block: int
    obs: pd.DataFrame
    form: StandardForm
    coverage: dict[str, Any]

    @property
    def cells(self) -> int:
        """Count the cells."""
        return len(self.obs)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and columns."""
        return self.cells, self.width

    def __iter__(self) -> Iterator[np.ndarray]:
        """Give the vectors of the blocks, each (cells of the block, D) float32."""
        return self.of_all("vectors")

    def of_all(self, what: str) -> Iterator[np.ndarray]:
        """Give an array of every block, by its name in `write_block`."""
        for start in range(0, self.cells, self.cells_a_block):
            yield read_block(self.folder, start, what)

    def genes_a_cell(self) -> np.ndarray:
        """Return how many genes the model read of each cell, (N,)."""
        return np.concatenate(list(self.of_all("genes")))

    def take(self, positions: np.ndarray) -> np.ndarray:
        """Return the vectors of some cells, (n, D); positions rise."""
        taken = np.empty((len(positions), self.width), dtype=np.float32)
        for block, vectors in enumerate(self):
            start = block * self.cells_a_block
            here = (positions >= start) & (positions < start + len(vectors))
            taken[here] = vectors[positions[here] - start]
        return taken


def open_blocks(folder: Path, identity: dict[str, Any]) -> None:
    """Make a folder ready for the blocks of an embedding; only one process may write there.

    Blocks that another embedding left there (another file, checkpoint or option) are removed.

    Raises
    ------
    UserError
        Rule ``blocks-foreign``: something else lies there.
    """
    wanted = json.dumps(identity, indent=1, sort_keys=True)
    known = folder / _IDENTITY
    if folder.exists() and not known.is_file() and any(folder.iterdir()):
        raise UserError(
            "blocks-foreign",
            found=f"'{folder}' holds something that no embedding wrote",
            expected="an empty folder, or none",
            mend="name another folder as embedding.source.blocks",
        )
    if known.is_file() and known.read_text(encoding="utf-8") != wanted:
        remove_folder(folder)
    make_folder(folder)
    clean_scratch(folder / "*")
    if not known.is_file():
        with atomic_file(known) as draft:
            draft.write_text(wanted, encoding="utf-8")


def write_block(
    folder: Path,
    start: int,
    vectors: np.ndarray,
    genes: np.ndarray,
    sums: np.ndarray,
    squares: np.ndarray,
) -> None:
    """Write what is known of the cells from `start` on, whole or not at all.

    Parameters
    ----------
    vectors, genes, sums
        A row a cell: the embedding, how many genes were read, the sum of value times gene embedding.
    squares
        (V,) a token: the sum of the cells' squared values.
    """
    with atomic_file(_path(folder, start)) as draft:
        np.savez(
            draft,
            vectors=vectors.astype(np.float32),
            genes=genes.astype(np.int32),
            sums=sums.astype(np.float32),
            squares=squares.astype(np.float32),
        )


def has_block(folder: Path, start: int) -> bool:
    """Say whether the block that begins with the cell `start` is there."""
    return _path(folder, start).is_file()


def read_block(folder: Path, start: int, what: str) -> np.ndarray:
    """Read an array of a block."""
    with np.load(_path(folder, start), allow_pickle=False) as file:
        return np.asarray(file[what])


def _path(folder: Path, start: int) -> Path:
    return folder / f"cells-{start:012d}.npz"
