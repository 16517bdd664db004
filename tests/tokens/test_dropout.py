"""Gene dropout leaves out the share it was told to, and nothing else changes."""

import numpy as np
import pandas as pd
from hypothesis import given, strategies as st

from sc_mamba2.tokens import TokenizedCells, drop_genes


def wide_cells(cells: int = 40, genes: int = 500) -> TokenizedCells:
    total = cells * genes
    generator = np.random.default_rng(0)
    return TokenizedCells(
        gene_rows=np.tile(np.arange(genes, dtype=np.int32), cells),
        bins=generator.integers(1, 51, total).astype(np.int16),
        values=generator.gamma(2, 1, total).astype(np.float32),
        offsets=np.arange(0, total + 1, genes, dtype=np.int64),
        obs=pd.DataFrame(index=[f"c{n}" for n in range(cells)]),
    )


WIDE = wide_cells()


def test_nothing_is_lost_at_zero():
    assert drop_genes(WIDE, 0.0, seed=0, epoch=1) is WIDE


@given(st.floats(0.05, 0.9), st.integers(0, 50), st.integers(1, 50))
def test_the_share_the_sum_and_what_is_left(share, seed, epoch):
    kept = drop_genes(WIDE, share, seed, epoch)
    assert len(kept) == len(WIDE) and kept.obs is WIDE.obs
    assert abs(len(kept.gene_rows) / len(WIDE.gene_rows) - (1 - share)) < 0.02
    assert abs(kept.values.sum() / WIDE.values.sum() - 1) < 0.1
    original = {
        (cell, row): (bin_, value)
        for cell in (0, 39)
        for row, bin_, value in zip(*entries(WIDE, cell), strict=True)
    }
    for cell in (0, 39):
        for row, bin_, value in zip(*entries(kept, cell), strict=True):
            assert original[cell, row][0] == bin_
            assert value == original[cell, row][1] / np.float32(1 - share)


def entries(tokens: TokenizedCells, cell: int):
    mine = slice(*tokens.offsets[cell : cell + 2])
    return tokens.gene_rows[mine], tokens.bins[mine], tokens.values[mine]


def test_it_is_a_pure_function_of_seed_and_epoch():
    before = WIDE.values.copy()
    first = drop_genes(WIDE, 0.3, seed=1, epoch=2)
    np.random.seed(5)
    again = drop_genes(WIDE, 0.3, seed=1, epoch=2)
    assert np.array_equal(first.gene_rows, again.gene_rows)
    assert np.array_equal(first.offsets, again.offsets)
    for seed, epoch in ((1, 3), (2, 2)):
        other = drop_genes(WIDE, 0.3, seed, epoch)
        assert not np.array_equal(first.offsets, other.offsets)
    assert np.array_equal(WIDE.values, before)


def test_cells_are_thinned_apart():
    kept = drop_genes(WIDE, 0.5, seed=0, epoch=1)
    assert not np.array_equal(entries(kept, 0)[0], entries(kept, 1)[0])
