"""A label column is read as text, and what is no label is refused by one named rule."""

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.cells import known_labels, label_text, read_labels
from sc_mamba2.cells.labels import full_column, placeholder_columns
from sc_mamba2.errors import UserError


def read(values):
    return list(read_labels(pd.DataFrame({"type": values}), "type"))


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["a", "b", " a "] * 3, ["a", "b", "a"]),
        (["a", "b", None] * 3, ["a", "b", None]),
        (["a", "b", np.nan] * 3, ["a", "b", None]),
        (["a", "b", " "] * 3, ["a", "b", None]),
        (pd.Categorical(["a", "b", None] * 3), ["a", "b", None]),
        (pd.array(["a", "b", None] * 3, dtype="string"), ["a", "b", None]),
        ([1, 2, 10] * 3, ["1", "2", "10"]),
        ([1.0, 2.0, np.nan] * 3, ["1", "2", None]),
        (pd.array([1, 2, None] * 3, dtype="Int64"), ["1", "2", None]),
        ([True, False, True] * 3, ["True", "False", "True"]),
        (
            ["<script>alert(1)</script>", "=1+1", "a"] * 3,
            ["<script>alert(1)</script>", "=1+1", "a"],
        ),
    ],
)
def test_labels_become_text_and_missing_ones_none(values, labels):
    assert read(values) == labels * 3


def test_the_table_is_not_changed():
    obs = pd.DataFrame({"type": pd.Categorical(["a", "b", None] * 3)}, index=list("abcdefghi"))
    before = obs.copy()
    assert list(read_labels(obs, "type").index) == list(obs.index)
    pd.testing.assert_frame_equal(obs, before)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        (["a"] * 9, "label-one-class"),
        (["a", None, ""] * 3, "label-one-class"),
        ([None] * 9, "label-empty"),
        ([" "] * 9, "label-empty"),
        ([0.5, 1.0, 2.0] * 3, "label-numeric"),
        ([1.0, 2.0, np.inf] * 3, "label-numeric"),
        ([f"cell {place}" for place in range(9)], "label-too-many"),
        (list(range(9)), "label-too-many"),
        ([f"class {place}" for place in range(1001)] * 4, "label-too-many"),
    ],
)
def test_refused_columns(values, rule):
    with pytest.raises(UserError) as caught:
        read(values)
    assert caught.value.rule == rule


def test_the_most_classes_that_are_allowed():
    assert len(set(read([f"class {place}" for place in range(1000)] * 3))) == 1000


def test_absent_column_names_the_nearest():
    with pytest.raises(UserError) as caught:
        read_labels(pd.DataFrame({"cell_type": ["a", "b"]}), "cel_type")
    assert caught.value.rule == "label-missing" and "'cell_type'" in caught.value.mend


def test_no_column_at_all():
    with pytest.raises(UserError, match="obs has no columns"):
        read_labels(pd.DataFrame(index=["a"]), "type")


@pytest.mark.parametrize("category", [False, True])
def test_whole_numbers_read_alike_with_and_without_missing_ones(category):
    column = pd.Series([1.0, 2.0, None] * 4)
    column = column.astype("category") if category else column
    assert label_text(column).tolist() == ["1", "2"] * 4
    assert label_text(pd.Series([1, 2] * 4)).tolist() == ["1", "2"] * 4


NOTHING = ["nan", "NaN", "None", "NA", "N/A", "null", "<NA>", "-", "?", "n/a"]
UNKNOWN = [
    "unknown",
    "Unknown",
    "UNKNOWN",
    "unassigned",
    "Unassigned",
    "not available",
    "undefined",
]
UNKNOWN += [
    "missing",
    "unlabeled",
    "Unlabelled",
    "not_assigned",
    "Unknown cell type",
    "unannotated",
]


@pytest.mark.parametrize("word", NOTHING + UNKNOWN)
@pytest.mark.parametrize("category", [False, True])
def test_words_of_absence_are_no_labels_unless_they_are_kept(word, category, caplog):
    column = pd.Series(["a", "b", f" {word}"] * 3).astype("category" if category else object)
    obs = pd.DataFrame({"type": column})
    assert list(read_labels(obs, "type")) == ["a", "b", None] * 3
    assert f"3 cells have a word for a missing label, '{word}' (3)" in caplog.text
    assert list(read_labels(obs, "type", keep_absence_words=True)) == ["a", "b", word] * 3
    assert placeholder_columns(obs) == {"type": {word: 3}}
    assert known_labels(column).tolist() == ["a", "b"] * 3


@pytest.mark.parametrize("word", NOTHING + UNKNOWN)
def test_a_column_of_absence_alone_is_empty_and_says_the_word(word):
    with pytest.raises(UserError) as caught:
        read([word] * 9)
    assert caught.value.rule == "label-empty" and f"'{word}' (9)" in caught.value.found
    assert "keep_absence_words=true" in caught.value.found


@pytest.mark.parametrize(
    "word", ["nanocyte", "Unknown-like T", "Other", "non-T", "NK", "none-such", "NA_12878"]
)
def test_words_that_only_look_like_absence_are_labels(word):
    assert read(["a", word] * 6) == ["a", word] * 6


@pytest.mark.parametrize(
    "word",
    ["Unassigned_1", "not-assigned", "unk", "Doublets", "low-quality", "Dead cells", "debris"],
)
def test_other_spellings_and_what_is_no_cell_are_no_labels_either(word):
    assert read(["a", "b", word] * 3) == ["a", "b", None] * 3


def test_a_column_of_doublets_alone_is_no_remark_on_a_file():
    assert placeholder_columns(pd.DataFrame({"scDblFinder": ["singlet", "doublet"]})) == {}


@pytest.mark.parametrize("other", ["t cell", "T_cell", "T  cell", "T cells", "T-cell"])
def test_types_that_differ_in_writing_only_are_said(other, caplog):
    assert read(["T cell", other, "B cell"] * 6) == ["T cell", other, "B cell"] * 6
    assert f"'{other}'" in caplog.text and "'B cell'" not in caplog.text


def test_types_that_differ_in_a_sign_are_no_spellings_of_one(caplog):
    read(["CD4+ T", "CD4- T", "T1", "T2", "T 1"] * 3)
    assert "differ only in case" not in caplog.text


@pytest.mark.parametrize("word", NOTHING)
def test_a_batch_without_a_value_is_refused(word):
    obs = pd.DataFrame({"batch": ["a", "b", word] * 3})
    with pytest.raises(UserError, match="batch-incomplete"):
        full_column(obs, "batch", "batch")


def test_types_of_few_cells_are_said(caplog):
    read(["T cell"] * 30 + ["B cell"] * 30 + ["NK cell"])
    assert "to learn much from: 'NK cell' (1)" in caplog.text and "B cell" not in caplog.text


def test_batches_that_differ_in_writing_only_are_said(caplog):
    full_column(pd.DataFrame({"batch": ["S1", "s1", "S2"]}), "batch", "batch")
    assert "each is a separate batch: 'S1', 's1'" in caplog.text


def test_an_unknown_donor_is_a_batch():
    assert set(full_column(pd.DataFrame({"batch": ["a", "unknown"]}), "batch", "batch")) == {
        "a",
        "unknown",
    }


@pytest.mark.parametrize(
    "label", ["T/NK, CD4+ <b>αβ</b>", 'B "memory"\nline two', "x" * 300, "🧬", "a,b;c\t"]
)
def test_labels_of_any_text_stay_as_they_are(label):
    assert read(["a", label] * 6) == ["a", label.strip()] * 6


def test_names_of_cells_may_repeat():
    obs = pd.DataFrame({"type": ["a", "b", "unknown", "a", "b", "a"]}, index=list("xxyzzw"))
    found = read_labels(obs, "type")
    assert list(found.index) == list(obs.index) and list(found) == ["a", "b", None, "a", "b", "a"]
