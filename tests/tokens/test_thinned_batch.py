"""Thinned batches: every molecule is kept or left out, in any batch alike, and the trunk reads a part."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from scipy import sparse

from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens import (
    ThinningOptions,
    Tokenizer,
    TokenizerRules,
    estimate_counts,
    thin_batch,
)

CELLS, GENES = 12, 60
NAMES = ("<pad>", "<cls>", *(f"ENSG{number:011d}" for number in range(GENES)))
VOCABULARY = Vocabulary("sixty", NAMES, NAMES)
COUNTS = np.random.default_rng(0).poisson(1.0, (CELLS, GENES))
COUNTS[:, 0], COUNTS[3] = 1, 0
STUDIES, TYPES = np.arange(CELLS) % 3, np.arange(CELLS) % 4 - 1


def tokens_of(counts, n_bins=4096):
    depth = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    values = sparse.csr_matrix(np.log1p(1e4 * counts / depth).astype(np.float32))
    tokenizer = Tokenizer(VOCABULARY, TokenizerRules(bins="counts", n_bins=n_bins))
    return tokenizer.tokenize(values, np.array(NAMES[2:]), pd.DataFrame(index=range(len(counts))))


TOKENS = tokens_of(COUNTS)


def thin(cells, seed=0, epoch=0, **options):
    rules = ThinningOptions(**options)
    return thin_batch(TOKENS, np.asarray(cells), VOCABULARY, rules, seed, epoch, STUDIES, TYPES)


def rows(ids, counts, cells):
    """Counts over all genes, from ids and counts of padded rows."""
    found = np.zeros((cells, len(NAMES)))
    for row, (of_row, many) in enumerate(zip(ids.numpy(), counts.numpy(), strict=True)):
        np.add.at(found[row], of_row, np.maximum(many, 0))
    return found[:, 2:]


@given(st.integers(0, 2**31), st.integers(0, 50), st.floats(0.05, 0.95))
def test_each_molecule_is_kept_or_left_out(seed, epoch, share):
    batch = thin(range(CELLS), seed, epoch, min_share=share, max_share=share)
    kept = rows(batch.token_ids_BL, batch.counts_BL, CELLS)
    left = rows(batch.left_ids_BO, batch.left_BO, CELLS)
    assert np.array_equal(kept + left, COUNTS)
    assert batch.lengths_B.tolist() == (1 + (kept > 0).sum(axis=1)).tolist()
    assert batch.studies_B.tolist() == STUDIES.tolist()
    assert batch.types_B.tolist() == TYPES.tolist()


def test_the_share_that_is_kept_is_the_one_asked_for():
    kept = [
        rows(one.token_ids_BL, one.counts_BL, CELLS).sum()
        for one in (thin(range(CELLS), epoch=e, min_share=0.3, max_share=0.3) for e in range(200))
    ]
    assert np.mean(kept) / COUNTS.sum() == pytest.approx(0.3, abs=0.005)


@given(st.permutations(range(CELLS)), st.integers(1, CELLS))
def test_a_cell_is_thinned_alike_in_every_batch(order, count):
    all_of_them, some = thin(range(CELLS), read_tokens=9), thin(order[:count], read_tokens=9)
    for place, cell in enumerate(order[:count]):
        length, read = int(some.lengths_B[place]), int(some.read_B[place])
        assert read == int(all_of_them.read_B[cell]) == min(length, 10)
        for name in ("token_ids_BL", "counts_BL"):
            mine, other = getattr(some, name)[place], getattr(all_of_them, name)[cell]
            assert mine[:length].tolist() == other[:length].tolist()
        assert bool(some.known_B[place]) == bool(all_of_them.known_B[cell])


def test_what_the_trunk_reads_stands_first_and_each_part_in_order():
    batch = thin(range(CELLS), read_tokens=9)
    for ids, read, length in zip(batch.token_ids_BL, batch.read_B, batch.lengths_B, strict=True):
        assert ids[0] == VOCABULARY.cls_id and (ids[length:] == VOCABULARY.pad_id).all()
        for part in (ids[1:read], ids[read:length]):
            assert part.tolist() == sorted(part.tolist())


def test_which_tokens_are_read_changes_from_epoch_to_epoch():
    first, second = (
        thin([0], epoch=epoch, read_tokens=9).token_ids_BL[0, 1:10] for epoch in (0, 1)
    )
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize(("dropout", "known"), [(0.0, 1.0), (1.0, 0.0), (0.5, 0.5)])
def test_studies_are_dropped_as_often_as_asked(dropout, known):
    found = [
        thin(range(CELLS), epoch=e, study_dropout=dropout).known_B.float().mean()
        for e in range(100)
    ]
    assert np.mean(found) == pytest.approx(known, abs=0.06)


def test_counts_are_found_again_and_the_highest_bin_holds_all_above():
    many = np.array([[1, 3, 700, 0, 12]])
    values = np.log1p(1e4 * many / many.sum()).astype(np.float32)[many > 0]
    assert estimate_counts(values, np.array([0, 4])).tolist() == [1, 3, 700, 12]
    wide = np.zeros((1, GENES), int)
    wide[0, :5] = many
    assert tokens_of(wide, n_bins=51).bins.tolist() == [1, 3, 50, 12]
    assert estimate_counts(values[:0], np.array([0, 0])).tolist() == []
