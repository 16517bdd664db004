"""Embedded cells on disk, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.cells.opening import Source
from sc_mamba2.cells.standard_form import StandardForm
from sc_mamba2.tasks.shared.blocks import read_block

LABEL, BATCH = "label", "batch"  # columns of `EmbeddedBlocks.obs`


@dataclass(frozen=True, eq=False)
class EmbeddedBlocks:
    """Embedding of N cells x D, in blocks of equal size except the last; a `RowBlocks` of `cells`.

    Parameters
    ----------
    folder
        Folder with `identity.json` and the blocks.
    source
        The embedded cells.
    width, cells_a_block
        D, and the cells per block.
    obs
        N rows: names of the cells, with the columns ``label`` and ``batch`` if they are named.
    form
        How the source was read.
    coverage
        Gene coverage of the checkpoint, or of the index (`coverage.check_genes`).
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
        """Number of cells."""
        return len(self.obs)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and columns."""
        return self.cells, self.width

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the vectors of each block, (cells of the block, D) float32."""
        return self.of_all("vectors")

    def of_all(self, what: str) -> Iterator[np.ndarray]:
        """Yield an array of every block, by its name in `encode_blocks`."""
        for start in range(0, self.cells, self.cells_a_block):
            yield read_block(self.folder, start, what)

    def genes_a_cell(self) -> np.ndarray:
        """Return the number of genes that the model read of each cell, (N,)."""
        return np.concatenate(list(self.of_all("genes")))

    def take(self, positions: np.ndarray) -> np.ndarray:
        """Return the vectors of some cells, (n, D); positions must be ascending."""
        taken = np.empty((len(positions), self.width), dtype=np.float32)
        for block, vectors in enumerate(self):
            start = block * self.cells_a_block
            here = (positions >= start) & (positions < start + len(vectors))
            taken[here] = vectors[positions[here] - start]
        return taken
