"""What is told of a file by looking at its layout alone is what reading it tells."""

import h5py
import mudata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData, settings

from sc_mamba2.cells import EMBEDDED, simulate_cells
from sc_mamba2.cells.modalities.opening import quiet_mudata
from sc_mamba2.cells.simulate_pairs import SIMULATED_PAIRS
from sc_mamba2.cells.source_check import SOURCES, check_exists, columns_and_layers
from sc_mamba2.errors import UserError


def made() -> AnnData:
    cells = simulate_cells(cells=12)
    cells.obs["quality"] = pd.array([True] * 6 + [None] * 6, dtype="boolean")
    cells.obs["µ depth"] = np.arange(12.0)
    cells.layers["raw counts"] = cells.X.copy()
    return cells


@pytest.mark.parametrize("kind", ["h5ad", "zarr 2", "zarr 3"])
def test_columns_and_layers_are_those_of_the_file(tmp_path, kind):
    cells, path = made(), tmp_path / "cells"
    if kind == "h5ad":
        cells.write_h5ad(path)
    else:
        with settings.override(zarr_write_format=int(kind[-1])):
            cells.write_zarr(path)
    assert columns_and_layers(path) == (list(cells.obs.columns), ["raw counts"])


def test_of_several_modalities_the_columns_of_all_are_told(tmp_path):
    parts = {"rna": made(), "protein": simulate_cells(cells=12)}
    parts["protein"].obs = pd.DataFrame({"clean": "yes"}, parts["protein"].obs_names)
    with quiet_mudata():
        together = mudata.MuData(parts)
        together.obs["donor"] = "a"
        together.write_h5mu(tmp_path / "cells.h5mu")
    columns, layers = columns_and_layers(tmp_path / "cells.h5mu")
    assert {"donor", "clean", *parts["rna"].obs} <= set(columns) and layers == ["raw counts"]


def test_a_table_of_before_anndata_0_7_is_told_too(tmp_path):
    with h5py.File(tmp_path / "old.h5ad", "w") as file:
        file["obs"] = np.zeros(3, dtype=[("index", "S4"), ("louvain", "i1"), ("batch", "i1")])
        file["X"] = np.ones((3, 2))
    assert columns_and_layers(tmp_path / "old.h5ad") == (["louvain", "batch"], [])


@pytest.mark.parametrize("content", ["nothing", "a matrix", "obs without its order"])
def test_what_cannot_be_told_is_left_to_the_readers(tmp_path, content):
    with h5py.File(tmp_path / "cells.h5", "w") as file:
        if content == "a matrix":
            file["matrix/barcodes"] = [b"a"]
        elif content != "nothing":
            file["obs/index"] = [b"a"]
    assert columns_and_layers(tmp_path / "cells.h5") is None
    (tmp_path / "folder").mkdir()
    assert columns_and_layers(tmp_path / "folder") is None


def test_named_sources_are_those_that_can_be_read():
    assert {*SOURCES} == {*EMBEDDED, *SIMULATED_PAIRS}
    assert all(check_exists(name) is None for name in SOURCES)


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("simulated:three-type", None, "source-unknown.*'simulated:three-types'"),
        ("missing.h5ad", None, "file-missing"),
        ("empty.h5ad", b"", "file-empty"),
        ("table.csv", b"a,b", "file-format"),
        ("cells.rds", b"\x1f\x8b\x08", "file-format"),
    ],
)
def test_what_is_no_source_is_refused(tmp_path, monkeypatch, name, content, rule):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=rule):
        check_exists(name)
