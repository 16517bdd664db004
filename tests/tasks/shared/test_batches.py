import numpy as np
import pandas as pd
import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.tasks.shared.batches import (
    batch_codes,
    confounded_labels,
    read_batches,
    read_known_batches,
)


def table(batches) -> pd.DataFrame:
    return pd.DataFrame({"donor": batches}, index=[f"c{n}" for n in range(len(batches))])


@pytest.mark.parametrize(
    ("batches", "key", "rule"),
    [
        (["a"] * 10 + ["b"] * 10, "doner", "batch-missing"),
        (["a"] * 20, "donor", "batch-one"),
        (["a"] * 10 + ["b"] * 9 + [None], "donor", "batch-incomplete"),
        ([1.0] * 10 + [2.0] * 9 + [np.nan], "donor", "batch-incomplete"),
        (["a"] * 10 + ["b"] * 10 + [" "], "donor", "batch-incomplete"),
        (["a"] * 10 + ["b"] * 10 + ["lone"], "donor", "batch-small"),
        ([f"id{n}" for n in range(40)], "donor", "batch-small"),
    ],
)
def test_what_cannot_be_corrected_is_refused(batches, key, rule):
    with pytest.raises(UserError, match=rule):
        read_batches(table(batches), key)


def test_the_nearest_column_is_suggested():
    with pytest.raises(UserError, match="did you mean 'donor'"):
        read_batches(table(["a"] * 20), "doner")


def test_categories_and_whole_numbers_are_text():
    obs = table(pd.Categorical([1, 2] * 10, categories=[3, 2, 1]))
    assert list(read_batches(obs, "donor")[:2]) == ["1", "2"]
    assert list(read_batches(table([1.0, 2.0] * 10), "donor")[:2]) == ["1", "2"]


def test_a_batch_that_the_model_does_not_know_is_refused_and_one_alone_is_not():
    obs = table(["a"])
    assert list(read_known_batches(obs, "donor", ("a", "b"))) == ["a"]
    with pytest.raises(UserError, match="batch-unknown"):
        read_known_batches(table(["a", "new"]), "donor", ("a", "b"))


def test_codes_are_places_in_the_list_of_names():
    assert list(batch_codes(pd.Series(["b", "a", "b"]), ("a", "b"))) == [1, 0, 1]


def test_labels_of_one_batch_are_named():
    batches = pd.Series(["a", "a", "b", "b"], index=list("1234"))
    labels = pd.Series(["x", "y", "y"], index=list("123"))
    assert confounded_labels(batches, labels) == ["x"]
