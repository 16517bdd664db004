"""Batches: right-padded rows of tokens with `<cls>` first. `sampler` decides which cells they hold.

Legend: B cells of a batch, L tokens of its longest cell with `<cls>`.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens.tokenized import TokenSource

PAD_BIN = -2.0


def moved(part: Tensor, device: torch.device | str) -> Tensor:
    """Move a tensor to a device; to a GPU from pinned memory, asynchronously."""
    if part.device.type == "cpu" and torch.device(device).type == "cuda":
        return part.pin_memory().to(device, non_blocking=True)
    return part.to(device)


@dataclass(frozen=True)
class Batch:
    """A batch of cells.

    Attributes
    ----------
    token_ids_BL
        int64, `<cls>` first, then genes in the order of the rules, then `<pad>`.
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
        return Batch(*(moved(getattr(self, name), device) for name in self.__dataclass_fields__))


def make_batch(tokens: TokenSource, cells: np.ndarray, vocabulary: Vocabulary) -> Batch:
    """Collate the cells at the positions `cells` into one right-padded batch.

    The backbone reads `bins_BL`; `values_BL` are for heads that read expression itself.
    """
    gene_rows, bins, values, offsets = tokens.gather(cells)
    lengths_B = np.diff(offsets)[:, None]
    place_L = np.arange(1 + int(lengths_B.max(initial=0)))
    gene_BL = (place_L > 0) & (place_L <= lengths_B)
    token_ids_BL = np.full(gene_BL.shape, vocabulary.pad_id, dtype=np.int64)
    bins_BL = np.full(gene_BL.shape, PAD_BIN, dtype=np.float32)
    values_BL = np.zeros(gene_BL.shape, dtype=np.float32)
    token_ids_BL[:, 0], bins_BL[:, 0] = vocabulary.cls_id, 0
    token_ids_BL[gene_BL], bins_BL[gene_BL], values_BL[gene_BL] = gene_rows, bins, values
    arrays = (token_ids_BL, bins_BL, values_BL, lengths_B[:, 0] + 1, np.array(cells, np.int64))
    return Batch(*map(torch.from_numpy, arrays))
