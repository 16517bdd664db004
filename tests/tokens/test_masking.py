"""Masks depend on seed, epoch, cell and gene alone, and hide nothing but genes."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, strategies as st
from pydantic import ValidationError
from tests.properties import promised

from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import Backbone, ModelConfig
from sc_mamba2.tokens import (
    MASK_BIN,
    MaskedBatch,
    MaskOptions,
    TokenizedCells,
    Tokenizer,
    TokenizerRules,
    make_batch,
    mask_tokens,
)

GENES = 60
NAMES = (*(f"g{n}" for n in range(20)), "<cls>", *(f"g{n}" for n in range(20, GENES)), "<pad>")
TOKENIZER = Tokenizer(Vocabulary("sixty", NAMES, NAMES), TokenizerRules(max_length=64))
PAD, CLS = TOKENIZER.vocabulary.pad_id, TOKENIZER.vocabulary.cls_id

ratios = st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted)
options_of = st.builds(
    lambda ratio, left_out, share, channel: MaskOptions(
        min_ratio=ratio[0],
        max_ratio=ratio[1],
        left_out=left_out,
        zero_share=share,
        channel=channel,
    ),
    ratios,
    st.sampled_from([0, 0.5, 1]),
    st.sampled_from([0, 0.1, 0.5, 4]),
    st.sampled_from(["bins", "values"]),
)
chosen = st.lists(st.integers(0, 29), min_size=1, max_size=6).map(np.array)
numbers = st.integers(0, 2**40)


def some_tokens() -> TokenizedCells:
    generator = np.random.default_rng(0)
    lengths = np.array([0, 1, 59, 60, *generator.integers(2, 40, 26)])
    genes = TOKENIZER.vocabulary.gene_rows
    rows = [np.sort(generator.choice(genes, length, replace=False)) for length in lengths]
    rows = np.concatenate(rows).astype(np.int32)
    bins = generator.integers(1, 51, len(rows)).astype(np.int16)
    values = generator.gamma(2, 1, len(rows)).astype(np.float32)
    return TokenizedCells(
        rows, bins, values, np.cumsum([0, *lengths]), pd.DataFrame(index=range(30))
    )


TOKENS = some_tokens()


def masked(cells, options, seed=0, epoch=0, **more) -> MaskedBatch:
    batch = make_batch(TOKENS, np.asarray(cells), TOKENIZER.vocabulary)
    return mask_tokens(batch, TOKENIZER, options, seed, epoch, **more)


def row_of(batch: MaskedBatch, row: int) -> list[tuple]:
    real = slice(int(batch.lengths_B[row]))
    columns = (batch.token_ids_BL, batch.inputs_BL, batch.mask_BL, batch.target_BL)
    return list(zip(*(column[row, real].tolist() for column in columns), strict=True))


def left_out_of(batch: MaskedBatch, row: int) -> list[int]:
    return batch.left_out_BO[row, batch.left_out_mask_BO[row]].tolist()


@promised
@given(chosen, options_of, numbers, numbers)
def test_only_genes_are_hidden_and_nothing_is_lost(cells, options, seed, epoch):
    batch = masked(cells, options, seed, epoch)
    assert not batch.mask_BL[:, 0].any()
    assert (batch.token_ids_BL[:, 0] == CLS).all() and (batch.inputs_BL[:, 0] == 0).all()
    assert batch.token_ids_BL.shape[1] == batch.lengths_B.max()
    pads = torch.arange(batch.token_ids_BL.shape[1]) >= batch.lengths_B[:, None]
    assert (batch.token_ids_BL[pads] == PAD).all() and (batch.inputs_BL[pads] == -2).all()
    assert not batch.mask_BL[pads].any() and not batch.target_BL[pads].any()
    assert (batch.inputs_BL[batch.mask_BL] == MASK_BIN).all()
    shown = ~batch.mask_BL & ~pads
    assert torch.equal(batch.inputs_BL[shown], batch.target_BL[shown])
    for row, cell in enumerate(cells):
        mine = slice(*TOKENS.offsets[cell : cell + 2])
        own = dict(zip(TOKENS.gene_rows[mine].tolist(), getattr(TOKENS, options.channel)[mine]))
        tokens = row_of(batch, row)[1:]
        ids = [token for token, *_ in tokens]
        left_out = left_out_of(batch, row)
        assert left_out == sorted(set(left_out)) and set(left_out) <= set(own)
        assert ids == sorted(set(ids)) and not {CLS, PAD, *left_out} & set(ids)
        assert set(own) <= {*ids, *left_out}
        asked = round(options.zero_share * len(own)) if len(own) + 1 < 64 else 0
        assert len(ids) + len(left_out) - len(own) == min(asked, GENES - len(own))
        for token, _, hidden, target in tokens:
            assert target == own.get(token, 0) and (hidden or token in own)


@given(chosen, st.integers(0, 29), options_of, numbers)
def test_a_cell_has_the_same_mask_in_any_batch(others, cell, options, seed):
    alone = masked([cell], options, seed, 3)
    for cells in ([*others, cell], [cell, *others[::-1]]):
        batch, row = masked(cells, options, seed, 3), cells.index(cell)
        assert row_of(batch, row) == row_of(alone, 0)
        assert left_out_of(batch, row) == left_out_of(alone, 0)


def test_a_gene_is_hidden_whatever_other_genes_the_cell_has():
    options = MaskOptions(left_out=0, zero_share=0)
    batch = make_batch(TOKENS, np.array([3]), TOKENIZER.vocabulary)
    fewer = replace(
        batch,
        **{name: getattr(batch, name)[:, ::2] for name in ("token_ids_BL", "bins_BL", "values_BL")},
        lengths_B=torch.tensor([(int(batch.lengths_B[0]) + 1) // 2]),
    )
    whole, part = (mask_tokens(each, TOKENIZER, options, 0, 0) for each in (batch, fewer))
    assert torch.equal(whole.mask_BL[:, ::2], part.mask_BL)


def test_the_left_out_share_is_even_from_zero_to_the_option():
    options = MaskOptions(left_out=0.8, zero_share=0)
    shares = [len(left_out_of(masked([3], options, 0, epoch), 0)) / GENES for epoch in range(300)]
    assert abs(np.mean(shares) - 0.4) < 0.05
    assert min(shares) < 0.1 and max(shares) > 0.65
    assert abs(np.std(shares) - np.sqrt(0.8**2 / 12 + 0.4 * 0.6 / GENES)) < 0.05


def test_a_piece_that_asks_for_nothing():
    batch = masked([3, 4], MaskOptions()).without_targets()
    assert not batch.mask_BL.any() and not batch.left_out_mask_BO.any()
    assert not len(batch.cells_B) and len(batch.lengths_B) == 2


@pytest.mark.parametrize("changed", [{"seed": 1}, {"epoch": 1}, {"cells": [4] * 20}])
def test_seed_epoch_and_cell_change_the_mask(changed):
    given_ = {
        "cells": [3] * 20,
        "options": MaskOptions(left_out=0, zero_share=0),
        "seed": 0,
        "epoch": 0,
    }
    left, right = masked(**given_), masked(**(given_ | changed))
    assert row_of(left, 0)[:20] != row_of(right, 0)[:20]


@pytest.mark.parametrize("ratio", [(0.15, 0.15), (0.2, 0.6), (0, 1), (1, 1)])
def test_ratios_spread_over_their_range(ratio):
    options = MaskOptions(left_out=0, min_ratio=ratio[0], max_ratio=ratio[1], zero_share=0)
    shares = []
    for epoch in range(300):
        batch = masked([3], options, 0, epoch)
        shares.append(float(batch.mask_BL.sum()) / GENES)
    assert abs(np.mean(shares) - np.mean(ratio)) < 0.03
    spread = np.sqrt(
        (ratio[1] - ratio[0]) ** 2 / 12 + np.mean(ratio) * (1 - np.mean(ratio)) / GENES
    )
    assert abs(np.std(shares) - spread) < 0.05


def test_unexpressed_genes_are_drawn_evenly():
    cell, length = 4, int(TOKENS.lengths[4])
    options = MaskOptions(min_ratio=0, max_ratio=0, left_out=0, zero_share=5 / length)
    counts: Counter = Counter()
    for epoch in range(1500):
        batch = masked([cell], options, 0, epoch)
        counts.update(batch.token_ids_BL[batch.mask_BL].tolist())
    assert len(counts) == GENES - length
    expected = 1500 * 5 / (GENES - length)
    chi_squared = sum((count - expected) ** 2 / expected for count in counts.values())
    assert chi_squared < 2 * len(counts)


def test_zero_genes_come_from_those_that_were_measured():
    measured = np.array([0, 1, 2, 3, 50, 50])
    options = MaskOptions(min_ratio=0, max_ratio=0, left_out=0, zero_share=4)
    batch = masked(np.arange(4, 30), options, zero_genes=measured)
    added = set(batch.token_ids_BL[batch.mask_BL].tolist())
    assert added == {0, 1, 2, 3, 50}


def test_a_cell_that_may_have_been_cut_gets_no_zeros():
    tokenizer = Tokenizer(TOKENIZER.vocabulary, TokenizerRules(max_length=60))
    batch = make_batch(TOKENS, np.array([2]), tokenizer.vocabulary)
    assert batch.lengths_B.tolist() == [60]
    options = MaskOptions(min_ratio=0, max_ratio=0, left_out=0, zero_share=0.5)
    assert not mask_tokens(batch, tokenizer, options, 0, 0).mask_BL.any()
    assert mask_tokens(batch, TOKENIZER, options, 0, 0).mask_BL.any()


def test_a_rank_without_cells_gets_an_empty_batch():
    batch = masked(np.zeros(0, int), MaskOptions())
    assert len(batch.lengths_B) == len(batch.token_ids_BL) == len(batch.mask_BL) == 0


def test_the_backbone_reads_it():
    config = ModelConfig(vocabulary_size=len(NAMES), pad_id=PAD, d_model=16, n_layers=1, head_dim=8)
    batch = masked(np.arange(6), MaskOptions()).to("cpu")
    hidden = Backbone(config)(batch.token_ids_BL, batch.inputs_BL, batch.lengths_B)
    assert hidden.shape[:2] == batch.mask_BL.shape and torch.isfinite(hidden).all()


@pytest.mark.parametrize(
    "wrong",
    [{"min_ratio": 0.6}, {"max_ratio": 1.1}, {"zero_share": -1}, {"left_out": 2}, {"ratio": 0.1}],
)
def test_options_out_of_range(wrong):
    with pytest.raises(ValidationError):
        MaskOptions(**wrong)
