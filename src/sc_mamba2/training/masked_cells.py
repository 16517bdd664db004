"""Masked batches for pretraining, from a token store."""

import numpy as np

from sc_mamba2.tokens import (
    MaskedBatch,
    MaskOptions,
    Tokenizer,
    TokenStore,
    make_batch,
    mask_tokens,
)
from sc_mamba2.training.corpus_cells import CorpusCells
from sc_mamba2.training.options import SamplingOptions


class MaskedCells(CorpusCells):
    """Masked batches of some cells of a store; masks are drawn for rows of the model's vocabulary.

    The parameters of `CorpusCells`, and `masks`, the options of the masks.
    """

    def __init__(
        self,
        store: TokenStore,
        cells: np.ndarray,
        tokenizer: Tokenizer,
        sampling: SamplingOptions,
        masks: MaskOptions,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__(store, cells, tokenizer, sampling, batch_size, seed)
        self.masks = masks

    def load(self, cells: np.ndarray, epoch: int) -> MaskedBatch:
        """Return cells as a masked batch, in rows of the model's vocabulary."""
        batch = make_batch(self.source, cells, self.tokenizer.vocabulary)
        # From the store's lengths: the model may not know all genes of a truncated cell.
        cut_B = self.store.lengths[cells] + 1 >= self.tokenizer.rules.max_length
        return mask_tokens(batch, self.tokenizer, self.masks, self.seed, epoch, cut_B=cut_B)
