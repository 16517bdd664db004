"""Hashes know a cell by its name and its counts alone; the first of equal ones is kept."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from sc_mamba2.cells import simulate_cells, standardise
from sc_mamba2.cells.corpus.duplicates import first_occurrences, hash_cells


@pytest.fixture
def standard(table):
    return standardise(simulate_cells(40, 60), table)[0]


def test_every_cell_has_its_own(standard):
    assert len(set(hash_cells(standard))) == standard.n_obs


def test_the_order_of_genes_and_cells_changes_nothing(standard):
    other = standard[::-1, ::-1].copy()
    assert np.array_equal(hash_cells(other)[::-1], hash_cells(standard))


def test_genes_without_a_count_change_nothing(standard):
    standard.X[:, 5], standard.layers["counts"][:, 5] = 0, 0
    for matrix in (standard.X, standard.layers["counts"]):
        matrix.eliminate_zeros()
    fewer = standard[:, np.arange(60) != 5].copy()
    assert np.array_equal(hash_cells(fewer), hash_cells(standard))


def test_a_name_a_count_or_a_gene_changes_one_cell(standard):
    before = hash_cells(standard)
    changed = [standard.copy() for _ in range(3)]
    changed[0].obs_names = ["other", *standard.obs_names[1:]]
    changed[1].layers["counts"].data[0] += 1
    changed[2].layers["counts"].indices[0] += 1
    for other in changed:
        assert list(hash_cells(other) != before) == [True] + [False] * 39


def test_two_values_that_change_places_are_seen(standard):
    counts = standard.layers["counts"]
    assert counts.data[0] != counts.data[1]
    before = hash_cells(standard)[0]
    counts.data[:2] = counts.data[1::-1]
    assert hash_cells(standard)[0] != before


def test_hashes_are_those_of_every_machine(standard):
    assert hash_cells(standard)[0] == np.uint64(2119074343609903051)


@given(st.lists(st.lists(st.integers(0, 9), max_size=8), max_size=5))
def test_the_first_of_equal_ones_is_kept(parts):
    seen: set[int] = set()
    expected = [[not (one in seen or seen.add(one)) for one in part] for part in parts]
    found = first_occurrences([np.array(part, np.uint64) for part in parts])
    assert [list(part) for part in found] == expected
