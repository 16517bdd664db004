"""A copy with results added: everything of the person's is as it was, and nothing is loaded."""

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr
from scipy import sparse

from sc_mamba2.cells import CopiedCells, read_cells, simulate_cells, write_copy, zarr_writing
from sc_mamba2.cells.opening import open_cells


class Blocks:
    """A matrix given three rows at a time."""

    def __init__(self, matrix: np.ndarray) -> None:
        self.matrix, self.shape = matrix, matrix.shape

    def __iter__(self):
        return (self.matrix[start : start + 3] for start in range(0, len(self.matrix), 3))


@pytest.fixture
def cells() -> ad.AnnData:
    cells = simulate_cells(20)
    cells.layers["dense"] = cells.X.toarray()
    cells.raw = cells.copy()
    cells.obs["note"] = [f"text {n}" for n in range(20)]
    cells.obsm["X_mine"] = np.arange(40.0).reshape(20, 2)
    cells.obsp["near"] = sparse.identity(20, format="csr")
    cells.uns["mine"] = {"colours": np.array(["red", "blue"], dtype=object)}
    return cells


def additions(source: Path, value: float = 1.0) -> CopiedCells:
    names = [f"cell_{n}" for n in range(20)]
    obs = pd.DataFrame(
        {
            "scm_type": pd.Categorical(["a", "b"] * 10, categories=["a", "b", "c"]),
            "scm_share": np.linspace(0, value, 20, dtype=np.float32),
            "scm_mark": [True, False] * 10,
        },
        index=names,
    )
    vectors = Blocks(np.full((20, 4), value, dtype=np.float32))
    return CopiedCells(str(source), obs, {"X_scm": vectors}, {"scm": {"version": "1"}})


def test_what_was_there_is_there_and_the_rest_is_added(cells, tmp_path):
    cells.write_h5ad(tmp_path / "in.h5ad")
    before = (tmp_path / "in.h5ad").read_bytes()
    write_copy(tmp_path / "out.h5ad", additions(tmp_path / "in.h5ad"))
    assert (tmp_path / "in.h5ad").read_bytes() == before
    found = ad.read_h5ad(tmp_path / "out.h5ad")
    assert list(found.obs) == [*cells.obs, "scm_type", "scm_share", "scm_mark"]
    assert list(found.obs["scm_type"].cat.categories) == ["a", "b", "c"]
    assert found.obs["scm_share"].dtype == np.float32 and found.obs["scm_mark"].dtype == bool
    assert (found.obsm["X_scm"] == 1).all() and found.uns["scm"] == {"version": "1"}
    for place in ("obs", "obsm", "uns"):
        added = set(getattr(found, place)) - set(getattr(cells, place))
        for key in added:
            del getattr(found, place)[key]
    found.write_h5ad(tmp_path / "without.h5ad")
    assert datasets(tmp_path / "without.h5ad") == datasets(tmp_path / "in.h5ad")


def datasets(path: Path) -> dict[str, bytes]:
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: (
                found.__setitem__(name, np.asarray(item[()]).tobytes())
                if isinstance(item, h5py.Dataset) and item.dtype.kind != "O"
                else None
            )
        )
    return found


def test_our_own_keys_of_an_older_run_are_replaced(cells, tmp_path):
    cells.write_h5ad(tmp_path / "in.h5ad")
    write_copy(tmp_path / "once.h5ad", additions(tmp_path / "in.h5ad"))
    write_copy(tmp_path / "twice.h5ad", additions(tmp_path / "once.h5ad", value=2.0))
    found = ad.read_h5ad(tmp_path / "twice.h5ad")
    assert (found.obsm["X_scm"] == 2).all() and found.obs["scm_share"].max() == 2
    assert list(found.obs).count("scm_share") == 1 and "mine" in found.uns


def test_of_other_sources_the_table_of_the_cells_is_written(cells, tmp_path):
    cells.write_zarr(tmp_path / "in.zarr")
    write_copy(tmp_path / "out.h5ad", additions(tmp_path / "in.zarr"))
    found = ad.read_h5ad(tmp_path / "out.h5ad")
    assert found.shape == (20, 0) and found.X is None
    assert list(found.obs_names) == list(cells.obs_names)
    assert list(found.obs["note"]) == list(cells.obs["note"])
    assert (found.obsm["X_scm"] == 1).all()


def rewritten(path: Path, layout: str) -> None:
    """Make an `.h5ad` file of today one of an older anndata."""
    with h5py.File(path, "r+") as file:
        del file.attrs["encoding-type"], file.attrs["encoding-version"]
        if layout == "0.7":
            return
        for name in ("obs", "var"):
            table = ad.io.read_elem(file[name])
            kinds = [("index", "S20"), *((column, "S20") for column in table)]
            rows = list(table.astype(str).reset_index().itertuples(index=False, name=None))
            del file[name]
            file[name] = np.array(
                [tuple(str(v).encode() for v in row) for row in rows], dtype=kinds
            )


@pytest.mark.parametrize("layout", ["0.7", "0.6"])
def test_older_layouts_keep_expression_and_genes(layout, tmp_path):
    cells = simulate_cells(20)
    cells.write_h5ad(tmp_path / "in.h5ad")
    rewritten(tmp_path / "in.h5ad", layout)
    write_copy(tmp_path / "out.h5ad", additions(tmp_path / "in.h5ad"))
    found = ad.read_h5ad(tmp_path / "out.h5ad")
    assert (found.X != cells.X).nnz == 0 and list(found.var_names) == list(cells.var_names)
    assert list(found.obs["cell_type"].astype(str)) == list(cells.obs["cell_type"].astype(str))
    assert (found.obsm["X_scm"] == 1).all() and found.obs["scm_share"].notna().all()


def test_keys_with_a_slash_are_read_and_renamed_in_a_copy(cells, tmp_path, caplog):
    cells.write_h5ad(tmp_path / "in.h5ad")
    with h5py.File(tmp_path / "in.h5ad", "r+") as file:
        ad.io.write_elem(file["layers"].create_group("soup"), "x", cells.layers["dense"])
        ad.io.write_elem(file["obsm"].create_group("X_pca"), "harmony", cells.obsm["X_mine"])
    assert set(read_cells(tmp_path / "in.h5ad").layers) == {"dense", "soup/x"}
    with open_cells(tmp_path / "in.h5ad") as stored:
        assert (stored.layers["soup/x"].read(0, 20) == cells.layers["dense"]).all()
    write_copy(tmp_path / "out.h5ad", additions(tmp_path / "in.h5ad"))
    found = ad.read_h5ad(tmp_path / "out.h5ad")
    assert (found.layers["soup_x"] == cells.layers["dense"]).all()
    assert (
        found.obsm["X_pca_harmony"] == cells.obsm["X_mine"]
    ).all() and "soup" not in found.layers
    assert "layers['soup/x'] was renamed to 'soup_x'" in caplog.text


def test_what_a_copy_lacks_is_said(cells, tmp_path, caplog):
    cells.obs["kind"] = pd.array(["a", None] * 10, dtype="string")
    with ad.settings.override(allow_write_nullable_strings=True):
        cells.write_zarr(tmp_path / "in.zarr")
    write_copy(tmp_path / "out.h5ad", additions(tmp_path / "in.zarr"))
    assert "without the expression" in caplog.text
    assert ad.read_h5ad(tmp_path / "out.h5ad").obs["kind"].isna().sum() == 10


@pytest.mark.parametrize("small", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", [pytest.param("h5ad", marks=pytest.mark.slow), "zarr"])
def test_as_zarr_all_is_there_too(cells, tmp_path, monkeypatch, small, kind):
    if small:  # many chunks and shards
        monkeypatch.setattr(zarr_writing, "_BYTES_PER_CHUNK", 80)
        monkeypatch.setattr(zarr_writing, "_CHUNKS_PER_SHARD", 2)
    cells.obs["kind"] = pd.array(["a", None] * 10, dtype="string")
    with ad.settings.override(allow_write_nullable_strings=True):
        getattr(cells, f"write_{kind}")(tmp_path / f"in.{kind}")
    write_copy(tmp_path / "out.zarr", additions(tmp_path / f"in.{kind}"))
    found, whole = read_cells(tmp_path / "out.zarr"), read_cells(tmp_path / f"in.{kind}")
    assert (found.X != whole.X).nnz == 0 and (found.raw.X != whole.raw.X).nnz == 0
    assert (found.layers["dense"] == whole.layers["dense"]).all()
    assert (found.obsp["near"] != whole.obsp["near"]).nnz == 0
    assert (found.obsm["X_mine"] == whole.obsm["X_mine"]).all()
    assert list(found.uns["mine"]["colours"]) == ["red", "blue"] and found.uns["scm"] == {
        "version": "1"
    }
    pd.testing.assert_frame_equal(found.obs[list(whole.obs)], whole.obs)
    pd.testing.assert_frame_equal(found.var, whole.var)
    assert list(found.obs["scm_type"].cat.categories) == ["a", "b", "c"]
    assert (found.obsm["X_scm"] == 1).all() and found.obsm["X_scm"].shape == (20, 4)
    if kind == "h5ad":
        array = zarr.open_group(tmp_path / "out.zarr")["obsm/X_scm"]
        assert (array.shards is not None) == small
    write_copy(tmp_path / "again.zarr", additions(tmp_path / "out.zarr", value=2.0))
    assert (read_cells(tmp_path / "again.zarr").obsm["X_scm"] == 2).all()


def test_keys_with_a_slash_are_renamed_in_zarr(cells, tmp_path, caplog):
    cells.layers["soup_x"] = cells.layers["dense"] + 1
    cells.write_h5ad(tmp_path / "in.h5ad")
    with h5py.File(tmp_path / "in.h5ad", "r+") as file:
        ad.io.write_elem(file["layers"].create_group("soup"), "x", cells.layers["dense"])
    write_copy(tmp_path / "out.zarr", additions(tmp_path / "in.h5ad"))
    found = read_cells(tmp_path / "out.zarr")
    assert set(found.layers) == {"dense", "soup_x", "soup_x_"}
    assert (found.layers["soup_x_"] == cells.layers["dense"]).all()
    assert "was renamed to 'soup_x_'" in caplog.text


def test_of_other_sources_the_table_is_written_to_zarr(tmp_path):
    names = pd.DataFrame({"a": range(20)}, index=[f"cell_{n}" for n in range(20)])
    source = simulate_cells(20)
    copied = CopiedCells(source, names, {"X_scm": Blocks(np.ones((20, 2), np.float32))})
    write_copy(tmp_path / "out.zarr", copied)
    found = ad.read_zarr(tmp_path / "out.zarr")
    assert found.shape == (20, 0) and (found.obsm["X_scm"] == 1).all()


def test_columns_with_a_slash_are_renamed_in_zarr(cells, tmp_path, caplog):
    cells.obs["s/t"], cells.obs["s_t"] = range(cells.n_obs), 1
    cells.write_h5ad(tmp_path / "in.h5ad")
    write_copy(tmp_path / "out.zarr", additions(tmp_path / "in.h5ad"))
    found = read_cells(tmp_path / "out.zarr").obs
    assert list(found["s_t_1"]) == list(range(cells.n_obs)) and (found["s_t"] == 1).all()
    assert "['s/t'] was renamed to 's_t_1'" in caplog.text
