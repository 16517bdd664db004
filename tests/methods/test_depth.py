"""Thinning: who is thinned, to what, and who is left alone."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import sparse

from sc_mamba2.methods.depth import match_depth


def molecules(total, cells=40, genes=400, seed=0):
    """Draw cells of about `total` molecules, most of their values 1."""
    return sparse.csr_matrix(
        np.random.default_rng(seed).poisson(total / genes, (cells, genes)) * 1.0
    )


def median(counts):
    return np.median(np.asarray(counts.sum(axis=1)))


@given(st.integers(0, 100))
def test_the_deeper_side_comes_to_the_median_of_the_other(seed):
    deep, shallow = molecules(400, seed=seed), molecules(100, seed=seed + 1)
    for first, second in ((deep, shallow), (shallow, deep)):
        thinned = match_depth(first, second, 1.25, 10, seed)
        assert 0.8 < median(thinned[0]) / median(thinned[1]) < 1.25
        for before, after in zip((first, second), thinned, strict=True):
            assert (after <= before).toarray().all() and (after.data % 1 == 0).all()


def test_like_depths_reads_and_the_floor_are_left_alone():
    deep, shallow = molecules(400), molecules(100)
    near = molecules(380, seed=1)
    assert match_depth(deep, near, 1.25, 10, 0)[0] is deep
    reads = sparse.csr_matrix(molecules(400) * 37)
    assert match_depth(reads, shallow, 1.25, 10, 0)[0] is reads
    assert 290 < median(match_depth(deep, shallow, 1.25, 300, 0)[0]) < 320


def test_reads_among_molecules_are_left_as_they_are():
    mixed = sparse.vstack([molecules(400), molecules(400, 10) * 37]).tocsr()
    thinned, _ = match_depth(mixed, molecules(100), 1.25, 10, 0)
    assert (thinned[40:] != mixed[40:]).nnz == 0 and median(thinned[:40]) < 120


def test_one_seed_is_one_result():
    deep, shallow = molecules(400), molecules(100)
    first, again, other = (match_depth(deep, shallow, 1.25, 10, seed)[0] for seed in (0, 0, 1))
    assert (first != again).nnz == 0 and (first != other).nnz


@pytest.mark.parametrize("cells", [0, 1])
def test_sides_of_no_cell_or_one_are_taken(cells):
    few = molecules(100)[:cells]
    assert match_depth(molecules(400), few, 1.25, 10, 0)[1] is few
