"""Masked batches of a token store ask for what can be known."""

import numpy as np
from tests.training.corpora import write_store

from sc_mamba2.tokens import MaskOptions, Tokenizer, TokenStore
from sc_mamba2.training.corpus_cells import expressed_vocabulary
from sc_mamba2.training.masked_cells import MaskedCells
from sc_mamba2.training.options import SamplingOptions


def test_a_cell_that_was_cut_is_asked_for_no_zero_even_where_genes_are_unknown(tmp_path):
    cut = TokenStore.open(write_store(tmp_path / "store", max_length=12))
    everything = expressed_vocabulary(cut, np.arange(len(cut)))
    fewer = everything.subset([everything.ids[row] for row in everything.gene_rows[1:]])
    tokenizer = Tokenizer(fewer, cut.tokenizer.rules)
    masks = MaskOptions(zero_share=1.0)
    source = MaskedCells(cut, np.arange(40), tokenizer, SamplingOptions(), masks, 40, 0)
    full = np.flatnonzero(cut.lengths[:40] == 11)
    assert len(full)
    batch = source.load(full, 0)
    assert (batch.target_BL[batch.mask_BL] > 0).all()
