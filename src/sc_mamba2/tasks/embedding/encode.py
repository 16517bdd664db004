"""Read, tokenize, embed and store blocks of cells; the callers choose the blocks and the folder."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from sc_mamba2.cells.blocks import standard_block
from sc_mamba2.cells.standard_form import StandardForm
from sc_mamba2.cells.stored import StoredCells
from sc_mamba2.tasks.embedding.model import Encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions
from sc_mamba2.tasks.shared.backbone import encode_cells
from sc_mamba2.tasks.shared.blocks import has_block, write_block
from sc_mamba2.tasks.shared.tokenization import tokenize_cells
from sc_mamba2.tokens import as_matrix
from sc_mamba2.training import ComputeOptions


def encode_blocks(
    encoder: Encoder,
    stored: StoredCells,
    form: StandardForm,
    folder: Path,
    starts: Iterable[int],
    options: EmbeddingOptions,
    compute: ComputeOptions,
) -> Iterator[int]:
    """Embed the blocks that are not in the folder yet.

    A block depends only on its cells, bitwise if the number of threads is the same.

    Parameters
    ----------
    stored, form
        The open source, and how it is read.
    folder
        Folder of the blocks; other processes may write other blocks there.
    starts
        Indices of the blocks' first cells.

    Yields
    ------
    int
        The end (exclusive) of each block that was written.
    """
    for start in starts:
        if has_block(folder, start):
            continue
        stop = min(start + options.cells_a_block, len(stored.obs))
        block = standard_block(stored, form, start, stop)
        tokens = tokenize_cells(block, encoder.tokenizer, with_obs=False)
        values = as_matrix(tokens, encoder.tokenizer.vocabulary.size)
        squares = np.asarray(values.power(2).sum(axis=0)).ravel()
        vectors = encode_cells(encoder.backbone, tokens, encoder.tokenizer, options, compute)
        sums = values @ encoder.gene_vectors()
        write_block(
            folder,
            start,
            vectors=vectors.astype(np.float32),
            genes=tokens.lengths.astype(np.int32),  # read of each cell
            sums=sums.astype(np.float32),  # of value times gene embedding
            squares=squares.astype(np.float32),  # (V,): sum of the cells' squared values
        )
        yield stop
