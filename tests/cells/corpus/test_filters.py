"""A cell is kept by its columns, and counted for the first reason that drops it."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from sc_mamba2.cells.corpus import CorpusFilters
from sc_mamba2.cells.corpus.filters import filter_table
from sc_mamba2.errors import UserError

OBS = pd.DataFrame(
    {
        "is_primary_data": [True, True, False, True],
        "tissue": pd.Categorical(["blood", "lung", "blood", "blood"]),
        "disease": ["normal", "normal", "flu", None],
    }
)


@pytest.mark.parametrize(
    ("asked", "kept", "dropped"),
    [
        ({}, [1, 1, 0, 1], {"is_primary_data": 1}),
        ({"primary_only": False}, [1, 1, 1, 1], {}),
        ({"tissue": ("blood",)}, [1, 0, 0, 1], {"is_primary_data": 1, "tissue": 1}),
        ({"tissue": ("lung", "skin")}, [0, 1, 0, 0], {"is_primary_data": 1, "tissue": 2}),
        (
            {"tissue": ("blood",), "disease": ("normal",)},
            [1, 0, 0, 0],
            {"is_primary_data": 1, "tissue": 1, "disease": 1},
        ),
    ],
)
def test_columns(asked, kept, dropped):
    sieve = filter_table(OBS, CorpusFilters(**asked))
    assert list(sieve.kept) == list(map(bool, kept)) and sieve.dropped == dropped
    assert not sieve.columns_absent


def test_an_absent_column_that_is_asked_for_drops_all():
    sieve = filter_table(OBS, CorpusFilters(assay=("10x",), primary_only=False))
    assert not sieve.kept.any() and sieve.dropped == {"assay": 4}
    assert sieve.columns_absent == ["assay"]


def test_without_the_column_all_cells_are_primary():
    sieve = filter_table(OBS[["tissue"]], CorpusFilters())
    assert sieve.kept.all() and sieve.columns_absent == ["is_primary_data"]


@pytest.mark.parametrize(
    "column",
    [
        ["True", "False"],
        pd.Categorical(["true", "false"]),
        [1, 0],
        [1.0, np.nan],
        pd.array([True, None], dtype="boolean"),
    ],
)
def test_truths_in_every_spelling(column):
    obs = pd.DataFrame({"is_primary_data": column})
    assert list(filter_table(obs, CorpusFilters()).kept) == [True, False]


def test_a_truth_that_is_none():
    with pytest.raises(UserError) as caught:
        filter_table(pd.DataFrame({"is_primary_data": ["yes"]}), CorpusFilters())
    assert caught.value.rule == "primary-column"


@pytest.mark.parametrize(
    "asked", [{"tissues": ("blood",)}, {"minimum_genes": -1}, {"minimum_matched_share": 2}]
)
def test_filters_that_are_none(asked):
    with pytest.raises(ValidationError):
        CorpusFilters(**asked)
