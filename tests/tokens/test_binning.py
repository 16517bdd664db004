"""Bins against slow plain twins, and what depends on the order of the values only."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.properties import promised
from tests.tokens.twins import bin_cell

from sc_mamba2.tokens import bin_cells, rank_cells

counts = st.lists(st.integers(1, 10_000), min_size=1, max_size=200)
many_bins = st.sampled_from([3, 4, 11, 51, 101])
ragged = st.lists(
    st.lists(st.integers(1, 12) | st.floats(2**-10, 20, width=32), max_size=60), max_size=8
)


def bin_one(values: np.ndarray, n_bins: int) -> np.ndarray:
    values = np.asarray(values, dtype=np.float32)
    offsets = np.array([0, len(values)])
    return bin_cells(values, offsets, rank_cells(values, offsets), n_bins)


def flat(cells: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([value for cell in cells for value in cell], dtype=np.float32)
    return values, np.cumsum([0, *map(len, cells)])


@given(ragged, many_bins)
def test_many_cells_against_the_twin_of_one(cells, n_bins):
    values, offsets = flat(cells)
    bins = bin_cells(values, offsets, rank_cells(values, offsets), n_bins)
    assert bins.dtype == np.int16
    for start, stop in pairwise(offsets):
        assert np.array_equal(bins[start:stop], bin_cell(values[start:stop], n_bins))


@given(ragged)
def test_ranks_rise_within_a_cell_and_equals_stand_later_first(cells):
    values, offsets = flat(cells)
    order = rank_cells(values, offsets)
    for start, stop in pairwise(offsets):
        expected = sorted(range(start, stop), key=lambda place: (values[place], -place))
        assert order[start:stop].tolist() == expected


def exact_bins(values: list[int], n_bins: int) -> list[int]:
    """The definition, in fractions: one more than the inner quantiles that are not above a value."""
    ranked = sorted(values)
    borders = []
    for inner in range(1, n_bins - 1):
        position = Fraction(inner * (len(ranked) - 1), n_bins - 1)
        low = int(position)
        high = min(low + 1, len(ranked) - 1)
        borders.append(ranked[low] + (ranked[high] - ranked[low]) * (position - low))
    return [1 + sum(border <= value for border in borders) for value in values]


@given(counts, many_bins)
def test_against_the_exact_twin(values, n_bins):
    assert bin_one(np.array(values), n_bins).tolist() == exact_bins(values, n_bins)


@given(st.lists(st.floats(2**-10, 20, width=32), min_size=1, max_size=200), many_bins)
def test_against_numpys_quantiles(values, n_bins):
    values = np.array(values, dtype=np.float32)
    borders = np.quantile(values.astype(np.float64), np.arange(1, n_bins - 1) / (n_bins - 1))
    got = bin_one(values, n_bins)
    for value, bin_ in zip(values.astype(np.float64), got, strict=True):
        # np.quantile rounds its positions; a value on a border may fall on either side of it.
        slack = 1e-12 * max(1, value)
        low, high = (borders <= value - slack).sum(), (borders <= value + slack).sum()
        assert 1 + low <= bin_ <= 1 + high


@promised
@given(counts, many_bins)
def test_in_range_monotone_and_ties_share_a_bin(values, n_bins):
    values = np.array(values)
    bins = bin_one(values, n_bins)
    assert bins.dtype == np.int16 and bins.min() >= 1 and bins.max() == n_bins - 1
    order = np.argsort(values)
    assert (np.diff(bins[order]) >= 0).all()
    for value in np.unique(values):
        assert len(np.unique(bins[values == value])) == 1


@given(counts, many_bins, st.randoms(use_true_random=False))
def test_the_order_of_genes_changes_nothing(values, n_bins, random):
    order = random.sample(range(len(values)), len(values))
    values = np.array(values)
    assert np.array_equal(bin_one(values[order], n_bins), bin_one(values, n_bins)[order])


@given(counts, st.sampled_from([51, 101]))
def test_counts_and_their_logarithm_give_the_same_bins(values, n_bins):
    values = np.array(values, dtype=np.float32)
    expected = bin_one(values, n_bins)
    for scale in (1, 1e4 / values.sum(), 1024):
        assert np.array_equal(bin_one(values * np.float32(scale), n_bins), expected)
        assert np.array_equal(bin_one(np.log1p(values * np.float32(scale)), n_bins), expected)


@pytest.mark.parametrize("length", [51, 101, 151, 201, 351, 401, 576, 701, 1151])
def test_values_on_a_border_whatever_their_scale(length):
    """7 / 50 * 100 is not 14 in floating point: positions must be reckoned in whole numbers."""
    values = np.arange(1, length + 1, dtype=np.float64)
    expected = exact_bins(list(range(1, length + 1)), 51)
    for other in (values, values * 1000, np.log(values + 1), values + 1000):
        assert bin_one(other, 51).tolist() == expected


def test_few_values():
    assert bin_one(np.zeros(0), 51).tolist() == []
    assert bin_one(np.array([0.3]), 51).tolist() == [50]
    assert bin_one(np.array([2, 2, 2]), 51).tolist() == [50, 50, 50]
    assert bin_one(np.array([5, 1]), 3).tolist() == [2, 1]
