"""What takes the cells of a corpus in these tests; in a module of its own, since workers import it."""

from pathlib import Path

import numpy as np

from sc_mamba2.cells.corpus import CorpusFile


def names_of(file: CorpusFile) -> dict:
    """Return what came: numbers, names and sums, which a process can give back."""
    blocks = list(file.blocks())
    assert all(block.n_obs <= file.cells_a_block for block in blocks)
    return {
        "number": file.number,
        "names": [name for block in blocks for name in block.obs_names],
        "sum": float(sum(block.X.sum(dtype=np.float64) for block in blocks)),
    }


def save_names(folder: Path, file: CorpusFile) -> str:
    """Write one file for each source, as a store of tokens does."""
    path = folder / f"{file.number:05}.txt"
    path.write_text("\n".join(names_of(file)["names"]))
    return path.name
