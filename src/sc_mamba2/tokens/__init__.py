"""Tokens: value bins, the tokenizer, ragged token arrays, batches and their order. No AnnData here."""

from sc_mamba2.tokens.augmentation import drop_genes, hide_tokens, thin_cells
from sc_mamba2.tokens.batches import Batch, make_batch, useful_share
from sc_mamba2.tokens.binning import bin_cells, rank_cells
from sc_mamba2.tokens.masking import MASK_BIN, MaskedBatch, MaskOptions, mask_tokens
from sc_mamba2.tokens.modalities import (
    KINDS,
    clr,
    grown_vocabulary,
    inverse_document_frequency,
    join_tokens,
    kinds_of,
    tf_idf,
    visible_part,
)
from sc_mamba2.tokens.sampler import Sampler, rank_share, reading_order, weights_by_group
from sc_mamba2.tokens.store import TokenStore, TokenStoreWriter
from sc_mamba2.tokens.tokenized import (
    Ragged,
    TokenizedCells,
    TokenSource,
    as_matrix,
    load_tokens,
    save_tokens,
    stack_cells,
)
from sc_mamba2.tokens.tokenizer import Options, Tokenizer, TokenizerRules

__all__ = [
    "KINDS",
    "MASK_BIN",
    "Batch",
    "MaskOptions",
    "MaskedBatch",
    "Options",
    "Ragged",
    "Sampler",
    "TokenSource",
    "TokenStore",
    "TokenStoreWriter",
    "TokenizedCells",
    "Tokenizer",
    "TokenizerRules",
    "as_matrix",
    "bin_cells",
    "clr",
    "drop_genes",
    "grown_vocabulary",
    "hide_tokens",
    "inverse_document_frequency",
    "join_tokens",
    "kinds_of",
    "load_tokens",
    "make_batch",
    "mask_tokens",
    "rank_cells",
    "rank_share",
    "reading_order",
    "save_tokens",
    "stack_cells",
    "tf_idf",
    "thin_cells",
    "useful_share",
    "visible_part",
    "weights_by_group",
]
