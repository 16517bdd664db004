import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.properties import promised

from sc_mamba2.cells import simulate_cells
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.annotation.params import LabelParams
from sc_mamba2.tasks.annotation.split import labelled, query_truth, stratified_split

class_sizes = st.lists(st.integers(2, 30), min_size=2, max_size=5)


@promised
@given(class_sizes, st.floats(0.05, 0.5), st.integers(0, 99))
def test_parts_are_disjoint_whole_and_hold_every_class(sizes, share, seed):
    labels = np.repeat([f"type {n}" for n in range(len(sizes))], sizes)
    first, second = stratified_split(labels, share, seed)
    assert sorted([*first, *second]) == list(range(len(labels)))
    assert set(labels[first]) == set(labels)
    again = stratified_split(labels, share, seed)
    assert (first == again[0]).all() and (second == again[1]).all()


def test_a_class_of_one_cell_goes_to_the_first_part():
    labels = np.array(["a"] * 10 + ["b"] * 10 + ["lone"])
    first, second = stratified_split(labels, 0.2, 0)
    assert 20 in first and 20 not in second


def test_too_few_cells_are_refused():
    with pytest.raises(UserError, match="split-impossible"):
        stratified_split(np.array(["a", "b", "c"]), 0.2, 0)


def test_unlabelled_cells_are_left_out():
    cells = simulate_cells(30)
    cells.obs["half"] = cells.obs["cell_type"].astype(object).where(np.arange(30) < 20)
    kept = labelled(cells, LabelParams(key="half"))
    assert list(kept.obs.columns) == ["label", "batch"] and kept.n_obs == 20


@pytest.mark.parametrize("word", ["nan", "Unknown", "unassigned", "NA", ""])
def test_words_of_absence_are_neither_learnt_nor_a_truth(word):
    cells = simulate_cells(30)
    cells.obs["half"] = cells.obs["cell_type"].astype(object).where(np.arange(30) < 20, word)
    params = LabelParams(key="half")
    assert labelled(cells, params).n_obs == len(query_truth(cells, "half", params)) == 20
    cells.obs["half"] = word
    assert query_truth(cells, "half", params).empty
    kept = query_truth(cells, "half", LabelParams(key="half", keep_absence_words=True))
    assert len(kept) == (30 if word else 0)
