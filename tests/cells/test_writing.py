"""What a file can hold is written, and read again: under another name or as text where it must be."""

import logging

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from tests.properties import promised_of_files

from sc_mamba2.cells import read_cells, simulate_cells
from sc_mamba2.cells.writing import writable

CELLS = 12
NAMES = simulate_cells(CELLS, 9).obs_names


@pytest.fixture
def cells():
    return simulate_cells(CELLS, 9)


def written(cells, tmp_path):
    """Write and read cells; those that were given stay as they were."""
    before = cells.copy()
    writable(cells).write_h5ad(tmp_path / "cells.h5ad")
    assert list(cells.obs) == list(before.obs) and list(cells.uns) == list(before.uns)
    found = read_cells(tmp_path / "cells.h5ad")
    assert (found.X != before.X).nnz == 0 and list(found.obs_names) == list(before.obs_names)
    return found


COLUMNS = {
    "nullable text": (pd.array(["a", None, "b"] * 4, dtype="string"), ["a", None, "b"]),
    "text of arrow": (pd.array(["a", "b", "b"] * 4, dtype="string[pyarrow]"), ["a", "b", "b"]),
    "text and nothing": (np.array(["a", None, "b"] * 4, dtype=object), ["a", None, "b"]),
    "text and NaN": (np.array(["a", np.nan, "b"] * 4, dtype=object), ["a", None, "b"]),
    "numbers and text": (np.array([1, "a", None] * 4, dtype=object), ["1", "a", None]),
    "truths and nothing": (np.array([True, None, False] * 4, dtype=object), [True, None, False]),
    "nullable truths": (pd.array([True, None, False] * 4, dtype="boolean"), [True, None, False]),
    "nullable numbers": (pd.array([1, None, 3] * 4, dtype="Int64"), [1, None, 3]),
    "dates": (
        pd.to_datetime(["2020-01-02", None, "2021-03-04"] * 4),
        ["2020-01-02", None, "2021-03-04"],
    ),
    "durations": (pd.to_timedelta([1, 2, 3] * 4, unit="D"), ["1 days", "2 days", "3 days"]),
    "periods": (
        pd.PeriodIndex(["2020-01", "2020-02", "2020-03"] * 4, freq="M"),
        ["2020-01", "2020-02", "2020-03"],
    ),
    "intervals": (pd.cut([1, 2, 3] * 4, [0, 1, 2, 3]), ["(0, 1]", "(1, 2]", "(2, 3]"]),
    "mixed categories": (pd.Categorical([1, "a", "b"] * 4), ["1", "a", "b"]),
    "lists": (pd.Series([[1], [2, 3], []] * 4).to_numpy(), ["[1]", "[2, 3]", "[]"]),
    "small floats": (np.array([1, 2, 3] * 4, dtype="f2"), [1, 2, 3]),
    "truth categories": (pd.Categorical([True, False, True] * 4), [True, False, True]),
}


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("place", ["obs", "raw"])
def test_columns_of_every_kind(kind, place, cells, tmp_path):
    values, expected = COLUMNS[kind]
    cells.obs["own"] = values
    if place == "raw":
        raw = simulate_cells(CELLS, CELLS)
        raw.var["own"] = cells.obs.pop("own").array
        cells.raw = raw
    found = written(cells, tmp_path)
    column = found.obs["own"] if place == "obs" else found.raw.var["own"]
    own = column.astype(object).where(column.notna(), None).tolist()[:3]
    assert own == expected


@pytest.mark.parametrize(
    ("name", "free"),
    [
        ("G1/S", "G1_S"),
        ("a/b/c", "a_b_c"),
        ("_index", "index"),
        ("/", "_"),
        (".", "unnamed"),
        (7, "7"),
    ],
)
@pytest.mark.parametrize("table", ["obs", "var"])
def test_columns_of_every_name(table, name, free, cells, tmp_path, caplog):
    getattr(cells, table)[name] = range(len(getattr(cells, table)))
    with caplog.at_level(logging.WARNING):
        found = written(cells, tmp_path)
    assert getattr(found, table)[free].tolist() == list(range(len(getattr(cells, table))))
    assert f"was renamed to '{free}'" in caplog.text


def test_a_free_name_is_free(cells, tmp_path):
    cells.obs["G1/S"], cells.obs["G1_S"], cells.obs["_index"], cells.obs["index"] = 1, 2, 3, 4
    found = written(cells, tmp_path).obs
    assert found["G1_S"].iloc[0] == 2 and found["index"].iloc[0] == 4
    assert found["G1_S_1"].iloc[0] == 1 and found["index_1"].iloc[0] == 3


@pytest.mark.parametrize(
    ("index", "name"),
    [
        (pd.Index(pd.array(list(NAMES), dtype="string")), None),
        (pd.Index(list(NAMES), name="cell_type"), "cell_type"),
        (pd.Index(list(NAMES), name="_index"), None),
    ],
)
def test_names_of_cells(index, name, cells, tmp_path):
    cells.obs.index = index
    assert written(cells, tmp_path).obs["cell_type"].notna().all()


@pytest.mark.parametrize("place", ["obsm", "layers", "obsp"])
def test_arrays_whose_key_holds_a_slash(place, cells, tmp_path):
    shape = {"obsm": (CELLS, 2), "layers": (CELLS, 9), "obsp": (CELLS, CELLS)}[place]
    getattr(cells, place)["a/b"] = np.ones(shape, dtype="f2")
    assert getattr(written(cells, tmp_path), place)["a_b"].shape == shape


VALUES = {
    "nothing": (None, None),
    "tuple": ((1, 2), [1, 2]),
    "tuple of kinds": ((1, "a"), ["1", "a"]),
    "set": ({"b", "a"}, ["a", "b"]),
    "lists in a list": ([[1, 2], ["a"]], ["[1, 2]", "['a']"]),
    "list of tables": ([{"a": 1}], ["{'a': 1}"]),
    "bytes": (b"ab", "ab"),
    "time": (pd.Timestamp("2020-01-02"), "2020-01-02 00:00:00"),
    "text with nothing": (np.array(["a", None], dtype=object), ["a", "None"]),
    "dates": (np.array(["2020-01-02"], dtype="M8[D]"), ["2020-01-02"]),
    "ragged": (np.array([[1], [1, 2]], dtype=object), ["[1]", "[1, 2]"]),
    "masked": (np.ma.array([1, 2], mask=[False, True]), [1, 2]),
    "truths": (np.array([True, False]), [True, False]),
}


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("deep", [False, True])
def test_entries_of_every_kind(kind, deep, cells, tmp_path):
    value, expected = VALUES[kind]
    cells.uns["own"] = {"within": {"a/b": value}} if deep else value
    found = written(cells, tmp_path).uns["own"]
    found = found["within"]["a_b"] if deep else found
    assert (list(found) if isinstance(expected, list) else found) == expected


def test_tables_of_records_stay(cells, tmp_path):
    cells.uns["rank_genes_groups"] = {
        "names": np.array([("A", "B")], dtype=[("x", "O"), ("y/z", "O")])
    }
    cells.obsm["table"] = pd.DataFrame({"a/b": range(CELLS)}, index=cells.obs_names)
    found = written(cells, tmp_path)
    assert list(found.uns["rank_genes_groups"]["names"][0]) == ["A", "B"]
    assert list(found.obsm["table"]) == ["a_b"]


def test_what_has_no_form_is_left_out_and_named(cells, tmp_path, caplog):
    cells.uns["model"], cells.uns["kept"] = object(), 1
    with caplog.at_level(logging.WARNING):
        assert list(written(cells, tmp_path).uns) == ["kept"]
    assert "uns['model'] (object) was dropped" in caplog.text


def test_what_can_be_written_is_given_back_itself(cells, caplog):
    with caplog.at_level(logging.WARNING):
        assert writable(cells) is cells
    assert not caplog.text


def test_every_modality_is_made_writable(cells, tmp_path):
    other = ad.AnnData(np.ones((CELLS, 2)), obs=pd.DataFrame(index=cells.obs_names))
    other.var["when"] = pd.to_datetime(["2020-01-02"] * 2)
    cells.obs["G1/S"] = 1
    together = mudata.MuData({"rna": cells, "protein": other})
    together.obs["day/night"] = "day"
    writable(together).write_h5mu(tmp_path / "cells.h5mu")
    found = mudata.read_h5mu(tmp_path / "cells.h5mu")
    assert "G1_S" in found["rna"].obs and "day_night" in found.obs
    assert found["protein"].var["when"].tolist() == ["2020-01-02"] * 2


@promised_of_files
@given(
    hnp.arrays("i4", st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.integers(0, 99)),
    st.sampled_from([np.asarray, sparse.csr_matrix, sparse.csc_matrix]),
    st.sampled_from(["i4", "i8", "f4", "f8"]),
    st.lists(st.one_of(st.none(), st.text("ab<é/ ", max_size=3)), min_size=4, max_size=4),
)
def test_what_is_written_is_read(tmp_path_factory, counts, form, dtype, words):
    cells = ad.AnnData(form(counts.astype(dtype)))
    cells.obs["words"] = np.array(words[: len(counts)], dtype=object)
    path = tmp_path_factory.getbasetemp() / "promised.h5ad"
    writable(cells).write_h5ad(path)
    found = read_cells(path)
    matrix = found.X if isinstance(found.X, np.ndarray) else found.X.toarray()
    assert np.array_equal(matrix, counts) and matrix.dtype == dtype
    assert [None if pd.isna(word) else word for word in found.obs["words"]] == words[: len(counts)]
    assert list(found.obs_names) == list(cells.obs_names)
    assert list(found.var_names) == list(cells.var_names)
