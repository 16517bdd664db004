"""Sums of cells: none below ten, nothing lost, and cells that add up to them."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import sparse

from sc_mamba2.methods.sums_of_cells import MIN_CELLS, Sums, draw_synthetic_cells, sum_alike


def counts(cells, genes, seed):
    return sparse.csr_matrix(np.random.default_rng(seed).poisson(0.7, (cells, genes)).astype(float))


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(MIN_CELLS, 70), min_size=1, max_size=4),
    batches=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_every_cell_is_in_one_sum_of_its_class_and_no_sum_is_small(sizes, batches, seed):
    classes_N = np.repeat(np.arange(len(sizes)), sizes)
    counts_NG = counts(len(classes_N), 12, seed)
    batches_N = np.random.default_rng(seed).integers(0, batches, len(classes_N))
    sums = sum_alike(counts_NG, classes_N, batches_N, seed)
    assert sums.sizes_S.min() >= MIN_CELLS
    for one, size in enumerate(sizes):
        mine = sums.classes_S == one
        assert sums.sizes_S[mine].sum() == size
        np.testing.assert_array_equal(
            sums.counts_SG[mine].sum(axis=0), counts_NG[classes_N == one].toarray().sum(axis=0)
        )
    seen_G = (counts_NG > 0).toarray().sum(axis=0)
    np.testing.assert_array_equal(sums.expressed_SG.sum(axis=0), seen_G)


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, 30), seed=st.integers(0, 99))
def test_dealt_cells_add_up_to_the_sum_and_express_as_often(size, seed):
    cells_NG = counts(size, 20, seed).toarray()
    sums = Sums(
        cells_NG.sum(axis=0, keepdims=True),
        (cells_NG > 0).sum(axis=0, keepdims=True),
        np.zeros(1, int),
        np.array([size]),
    )
    dealt_NG = draw_synthetic_cells(sums, seed).toarray()
    assert dealt_NG.shape == cells_NG.shape and (dealt_NG >= 0).all()
    np.testing.assert_array_equal(dealt_NG.sum(axis=0), cells_NG.sum(axis=0))
    np.testing.assert_array_equal((dealt_NG > 0).sum(axis=0), (cells_NG > 0).sum(axis=0))


def test_counts_fall_to_a_cell_by_chance():
    sums = Sums(np.full((1, 1), 4000.0), np.full((1, 1), 4), np.zeros(1, int), np.array([10]))
    dealt_N = draw_synthetic_cells(sums, 0).toarray().ravel()
    assert (dealt_N > 0).sum() == 4
    assert dealt_N[dealt_N > 0] == pytest.approx(1000, abs=5 * np.sqrt(750))


def test_batches_stay_apart_and_one_of_few_cells_joins_another():
    counts_NG = counts(64, 8, 0).toarray()
    batches_N = np.repeat([0, 1, 2], [28, 32, 4])
    counts_NG[:, :3] = np.eye(3)[batches_N]  # a gene that tells the batch
    sums = sum_alike(sparse.csr_matrix(counts_NG), np.zeros(64, int), batches_N, 0)
    of_batch_SB = sums.counts_SG[:, :3] > 0
    assert not (of_batch_SB[:, 0] & of_batch_SB[:, 1]).any()
    assert of_batch_SB[of_batch_SB[:, 2], 0].all(), "the fewest other cells take it in"
