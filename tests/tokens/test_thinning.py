"""Thinned cells are what binomial thinning of their counts gives, and nothing else changes."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from scipy import sparse

from sc_mamba2.genes import Vocabulary
from sc_mamba2.tokens import TokenizedCells, Tokenizer, TokenizerRules, thin_cells

CELLS, GENES = 30, 400
RULES = TokenizerRules()
NAMES = ("<pad>", "<cls>", *(f"ENSG{number:011d}" for number in range(GENES)))


def counts_of(seed: int = 0) -> np.ndarray:
    counts = np.random.default_rng(seed).poisson(1.5, (CELLS, GENES))
    counts[:, 0] = 1  # some gene of every cell has one count
    return counts


def tokens_of(counts: np.ndarray) -> TokenizedCells:
    values = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    tokenizer = Tokenizer(Vocabulary("wide", NAMES, NAMES), RULES)
    obs = pd.DataFrame(index=[f"c{n}" for n in range(len(counts))])
    return tokenizer.tokenize(sparse.csr_matrix(values), np.array(NAMES[2:]), obs)


COUNTS = counts_of()
WIDE = tokens_of(COUNTS)


def test_at_full_depth_nothing_changes():
    assert thin_cells(WIDE, 1.0, RULES, seed=0, epoch=1) is WIDE


@given(st.floats(0.1, 0.95), st.integers(0, 30), st.integers(1, 30))
def test_counts_are_found_again_and_none_grows(least, seed, epoch):
    thin = thin_cells(WIDE, least, RULES, seed, epoch)
    assert len(thin) == len(WIDE) and thin.obs is WIDE.obs
    for cell in (0, CELLS - 1):
        mine = slice(*thin.offsets[cell : cell + 2])
        x = np.expm1(thin.values[mine].astype(np.float64))
        before = COUNTS[cell, thin.gene_rows[mine] - 2]
        # x = x_one c' / p: with one p for the cell, the values are whole multiples of the smallest step.
        unit = 1e4 / COUNTS[cell].sum()
        share = (x / unit).min()  # 1 / p: some gene keeps one count
        left = x / unit / share
        assert np.allclose(left, np.rint(left), atol=1e-3) and (left <= before * 1.001).all()
        assert 1 / share >= least * 0.999


def test_the_expected_depth_and_the_expected_sum():
    thin = thin_cells(WIDE, 0.5, RULES, seed=0, epoch=1)
    lost = 1 - len(thin.values) / len(WIDE.values)
    # A gene of c counts is lost with probability (1 - p)^c, p uniform in 0.5 to 1.
    shares = np.linspace(0.5, 1, 1001)[:, None]
    expected = ((1 - shares) ** COUNTS[COUNTS > 0]).mean()
    assert lost == pytest.approx(expected, abs=0.03)
    totals = [np.expm1(t.values.astype(np.float64)).sum() for t in (thin, WIDE)]
    assert totals[0] == pytest.approx(totals[1], rel=0.03)


def test_the_weakly_expressed_go_first():
    thin = thin_cells(WIDE, 0.3, RULES, seed=0, epoch=1)
    cell = np.repeat(np.arange(CELLS), np.diff(thin.offsets))
    kept = np.zeros_like(COUNTS, dtype=bool)
    kept[cell, thin.gene_rows - 2] = True
    assert kept[COUNTS == 1].mean() < kept[COUNTS == 2].mean() < kept[COUNTS >= 4].mean()


def test_bins_are_those_of_a_cell_of_these_values():
    thin = thin_cells(WIDE, 0.4, RULES, seed=3, epoch=2)
    values = np.zeros((CELLS, GENES), dtype=np.float32)
    cell = np.repeat(np.arange(CELLS), np.diff(thin.offsets))
    values[cell, thin.gene_rows - 2] = thin.values
    tokenizer = Tokenizer(Vocabulary("wide", NAMES, NAMES), RULES)
    again = tokenizer.tokenize(sparse.csr_matrix(values), np.array(NAMES[2:]), thin.obs)
    assert np.array_equal(again.bins, thin.bins) and np.array_equal(again.offsets, thin.offsets)


def test_it_is_a_pure_function_of_seed_and_epoch():
    before = WIDE.values.copy()
    first, again = (thin_cells(WIDE, 0.5, RULES, seed=1, epoch=2) for _ in range(2))
    assert np.array_equal(first.values, again.values)
    for seed, epoch in ((1, 3), (2, 2)):
        assert not np.array_equal(first.offsets, thin_cells(WIDE, 0.5, RULES, seed, epoch).offsets)
    assert np.array_equal(WIDE.values, before)


def test_cells_without_genes_stay_without():
    empty = WIDE.take(np.array([0, 1, 2]))
    lengths = np.array([len(WIDE.gene_rows[: WIDE.offsets[1]]), 0, 0])
    hollow = TokenizedCells(
        empty.gene_rows[: lengths[0]],
        empty.bins[: lengths[0]],
        empty.values[: lengths[0]],
        np.concatenate([[0], np.cumsum(lengths)]),
        empty.obs,
    )
    thin = thin_cells(hollow, 0.5, RULES, seed=0, epoch=1)
    assert list(thin.lengths[1:]) == [0, 0] and thin.lengths[0] > 0
