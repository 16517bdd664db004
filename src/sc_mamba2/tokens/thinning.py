"""Batches for count splitting: some of each cell's molecules are kept, the others are to be predicted.

All randomness is a function of (seed, epoch, cell): the same in any batch, on any rank.

Legend: B cells, L tokens of the fullest thinned cell with `<cls>`, O genes of a cell with molecules left
out.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens.batches import PAD_BIN, moved
from sc_mamba2.tokens.hashing import hash_of
from sc_mamba2.tokens.options import ThinningOptions
from sc_mamba2.tokens.tokenized import TokenSource

_THINNED = 97  # separate from other random streams over the same cells


@dataclass(frozen=True)
class ThinnedBatch:
    """Cells with part of their molecules to predict.

    ``Backbone(token_ids_BL, counts_BL, lengths_B, read_B)`` reads it.

    Attributes
    ----------
    token_ids_BL
        int64, `<cls>`, then the genes that the trunk reads, then other genes with molecules, each part in
        vocabulary order, then `<pad>`.
    counts_BL
        float32, molecules kept, at least 1 at genes; 0 at `<cls>`, -2 at pads.
    lengths_B, read_B
        int64, real tokens with `<cls>`, and how many of them, from the left, the trunk reads.
    left_ids_BO, left_BO
        int64, genes with molecules left out, then `<pad>`; float32, number of these molecules, 0 at pads.
    studies_B
        int64, number of each cell's study.
    known_B
        bool, whether the cell's study may be used to predict.
    types_B
        int64, number of each cell's type, -1 without one.
    cells_B
        int64, positions of the cells in the tokenised set.
    """

    token_ids_BL: Tensor
    counts_BL: Tensor
    lengths_B: Tensor
    read_B: Tensor
    left_ids_BO: Tensor
    left_BO: Tensor
    studies_B: Tensor
    known_B: Tensor
    types_B: Tensor
    cells_B: Tensor

    def without_targets(self) -> "ThinnedBatch":
        """Return the batch with nothing to predict and without cells."""
        nothing, none = torch.zeros_like(self.left_BO), torch.full_like(self.types_B, -1)
        return replace(self, left_BO=nothing, types_B=none, cells_B=self.cells_B[:0])

    def to(self, device: torch.device | str) -> "ThinnedBatch":
        """Return the batch on another device."""
        return ThinnedBatch(
            *(moved(getattr(self, name), device) for name in self.__dataclass_fields__)
        )


def thin_batch(
    tokens: TokenSource,
    cells: np.ndarray,
    vocabulary: Vocabulary,
    options: ThinningOptions,
    seed: int,
    epoch: int,
    studies_N: np.ndarray,
    types_N: np.ndarray,
) -> ThinnedBatch:
    """Keep each molecule with a probability drawn per cell, and leave out the others.

    For Poisson counts the two parts are independent given the rates (Batson 2019, "Molecular
    cross-validation for single-cell RNA-seq"; Neufeld 2022, "Inference after latent variable estimation").

    Parameters
    ----------
    tokens
        Cells whose bins are counts.
    cells
        (B,) positions.
    vocabulary
        Of the cells' gene rows.
    options
        Shares, and how many tokens, drawn at random, the trunk reads.
    seed, epoch
        Not negative. Copies of a cell within an epoch are thinned alike.
    studies_N, types_N
        (N,) numbers of the study and of the type of every cell of the source.
    """
    found = tokens.gather(cells)
    lengths_B = np.diff(found.offsets)
    kept_T, order_T = np.zeros(len(found.bins), np.int64), np.zeros(len(found.bins))
    known_B = np.zeros(len(cells), dtype=bool)
    for place, key in enumerate(hash_of(seed, epoch, _THINNED, np.asarray(cells))):
        mine = slice(*found.offsets[place : place + 2])
        draw = np.random.Generator(np.random.Philox(key=int(key)))
        share = draw.uniform(options.min_share, options.max_share)
        known_B[place] = draw.random() >= options.study_dropout
        kept_T[mine] = draw.binomial(found.bins[mine], share)
        order_T[mine] = draw.random(lengths_B[place])
    genes_T, left_T = found.gene_rows.astype(np.int64), found.bins - kept_T
    cell_T = np.repeat(np.arange(len(cells)), lengths_B)
    read_T = _among_first(np.where(kept_T > 0, order_T, 2.0), found.offsets, options.read_tokens)
    seen_T = np.flatnonzero(kept_T > 0)
    seen_T = seen_T[np.lexsort((seen_T, ~read_T[seen_T], cell_T[seen_T]))]
    ids_BL, counts_BL = _rows(cell_T, seen_T, len(cells), genes_T, kept_T, vocabulary.pad_id, 1)
    ids_BL[:, 0] = vocabulary.cls_id
    counts_BL[ids_BL == vocabulary.pad_id] = PAD_BIN
    ids_BO, left_BO = _rows(
        cell_T, np.flatnonzero(left_T > 0), len(cells), genes_T, left_T, vocabulary.pad_id, 0
    )
    read_B = 1 + np.bincount(cell_T[seen_T][read_T[seen_T]], minlength=len(cells))
    whole_B = 1 + np.bincount(cell_T[seen_T], minlength=len(cells))
    tokens_BL = (ids_BL, counts_BL, whole_B, read_B, ids_BO, left_BO)
    of_cells_B = (studies_N[cells], known_B, types_N[cells], np.array(cells, np.int64))
    return ThinnedBatch(*map(torch.from_numpy, (*tokens_BL, *of_cells_B)))


def _among_first(order_T: np.ndarray, offsets: np.ndarray, most: int) -> np.ndarray:
    """Return which entries are among the `most` lowest in order in their cell, (T,) bool."""
    chosen_T = np.ones(len(order_T), dtype=bool)
    for start, stop in pairwise(offsets.tolist()):
        if stop - start > most:
            chosen_T[start + np.argpartition(order_T[start:stop], most)[most:]] = False
    return chosen_T


def _rows(
    cell_T: np.ndarray,
    chosen: np.ndarray,
    cells: int,
    genes_T: np.ndarray,
    counts_T: np.ndarray,
    pad_id: int,
    first: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Arrange chosen entries, in the order of their cells, in padded rows starting at column `first`."""
    lengths_B = np.bincount(cell_T[chosen], minlength=cells)
    real_BL = np.arange(lengths_B.max(initial=0)) < lengths_B[:, None]
    ids_BL = np.full(real_BL.shape, pad_id, dtype=np.int64)
    counts_BL = np.zeros(real_BL.shape, dtype=np.float32)
    ids_BL[real_BL], counts_BL[real_BL] = genes_T[chosen], counts_T[chosen]
    widths = ((0, 0), (first, 0))
    return np.pad(ids_BL, widths, constant_values=-1), np.pad(counts_BL, widths)
