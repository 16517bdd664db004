"""Ragged rows: taking cells is what taking from a list of lists is."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st

from sc_mamba2.tokens import TokenizedCells, stack_cells


def ragged(lengths) -> TokenizedCells:
    total = sum(lengths)
    return TokenizedCells(
        gene_rows=np.arange(total, dtype=np.int32),
        bins=np.arange(total, dtype=np.int16) % 50 + 1,
        values=np.arange(total, dtype=np.float32) + 0.5,
        offsets=np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]),
        obs=pd.DataFrame(
            {"number": range(len(lengths))}, index=[f"c{n}" for n in range(len(lengths))]
        ),
    )


def as_lists(tokens: TokenizedCells) -> list[list[tuple]]:
    entries = list(zip(tokens.gene_rows, tokens.bins, tokens.values, strict=True))
    return [entries[a:b] for a, b in zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)]


lengths_lists = st.lists(st.integers(0, 5), min_size=1, max_size=8)


@given(lengths_lists, st.data())
def test_take_positions(lengths, data):
    tokens = ragged(lengths)
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=10))
    taken = tokens.take(np.array(chosen, dtype=int))
    assert as_lists(taken) == [as_lists(tokens)[cell] for cell in chosen]
    assert taken.obs["number"].tolist() == chosen
    assert taken.lengths.tolist() == [lengths[cell] for cell in chosen]


@given(lengths_lists, st.data())
def test_take_a_mask(lengths, data):
    tokens = ragged(lengths)
    mask = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(lengths), max_size=len(lengths)))
    )
    assert as_lists(tokens.take(mask)) == as_lists(tokens.take(np.flatnonzero(mask)))


@given(lengths_lists, st.data())
def test_gather_against_lists(lengths, data):
    tokens = ragged(lengths)
    chosen = data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=10))
    gene_rows, bins, values, offsets = tokens.gather(np.array(chosen, dtype=int))
    entries = [entry for cell in chosen for entry in as_lists(tokens)[cell]]
    assert list(zip(gene_rows, bins, values, strict=True)) == entries
    assert np.diff(offsets).tolist() == [lengths[cell] for cell in chosen]
    assert offsets.dtype == np.int64


@pytest.mark.parametrize("cut", ["gene_rows", "bins", "values", "offsets"])
def test_parts_must_belong_together(cut):
    tokens = ragged([2, 1])
    parts = {name: getattr(tokens, name) for name in tokens.__dataclass_fields__}
    with pytest.raises(AssertionError):
        TokenizedCells(**{**parts, cut: parts[cut][:-1]})


@given(lengths_lists, st.data())
def test_keep_some_entries(lengths, data):
    tokens = ragged(lengths)
    total = sum(lengths)
    kept = np.array(data.draw(st.lists(st.booleans(), min_size=total, max_size=total)), dtype=bool)
    entries = [[entry for entry in cell if kept[entry[0]]] for cell in as_lists(tokens)]
    left = tokens.keep(kept)
    assert as_lists(left) == entries and left.obs is tokens.obs
    assert left.offsets.dtype == np.int64


@given(lengths_lists, lengths_lists)
def test_stacked_cells_are_those_of_one_set_then_the_other(one, other):
    parts = [ragged(one), ragged(other)]
    stacked = stack_cells(parts)
    assert as_lists(stacked) == as_lists(parts[0]) + as_lists(parts[1])
    assert stacked.obs["number"].tolist() == [*range(len(one)), *range(len(other))]
