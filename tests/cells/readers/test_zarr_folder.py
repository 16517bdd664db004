"""AnnData in zarr folders: absent chunks, broken arrays, codecs that run code, links that leave."""

import os
import pickle
import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import zarr
from scipy import sparse
from tests.cells import formats
from tests.cells.formats import refusal

from sc_mamba2.cells import read_cells, standardise

ZARRS = ["zarr", "zarr_3"]


@pytest.fixture
def folder(cells, tmp_path) -> Path:
    return formats.write_zarr(cells, tmp_path)


def test_zarr_leaves_out_what_is_zero_in_tables(cells, tmp_path):
    """One category, False and 0.0 everywhere: zarr writes no chunk for these, and they are read."""
    cells.obs["tissue"], cells.obs["doublet"], cells.obs["score"] = "blood", False, 0.0
    read = read_cells(formats.write_zarr(cells, tmp_path))
    assert set(read.obs["tissue"]) == {"blood"} and not read.obs["doublet"].any()


@pytest.mark.parametrize("kind", [pytest.param("zarr", marks=pytest.mark.slow), "zarr_3"])
@pytest.mark.parametrize(
    "array", ["X/data", "X/indices", "X/indptr", "obs/_index", "var/_index", "obs/batch/codes"]
)
def test_missing_chunk(kind, array, cells, tmp_path):
    path = formats.WRITERS[kind](cells, tmp_path)
    for file in formats.chunks(path / array):
        file.unlink()
    error = refusal(path)
    assert error.rule == "zarr-chunk-missing" and array in error.found


def test_missing_chunk_of_a_dense_matrix(cells, tmp_path):
    cells.X = cells.X.toarray() + 1
    path = tmp_path / "cells.zarr"
    cells.write_zarr(path, chunks=(4, 9))
    assert read_cells(path).n_obs == 12
    formats.chunks(path / "X")[1].unlink()
    assert "1 of 3 chunks" in refusal(path).found


def test_missing_names_of_categories(folder):
    for file in formats.chunks(folder / "obs/cell_type/categories"):
        file.unlink()
    assert refusal(folder).rule == "zarr-chunk-missing"


@pytest.mark.parametrize("kind", ZARRS)
def test_truncated_chunk(kind, cells, tmp_path):
    path = formats.WRITERS[kind](cells, tmp_path)
    for file in formats.chunks(path / "X" / "indptr"):
        file.write_bytes(file.read_bytes()[:-3])
    assert refusal(path).rule == "file-damaged"


@pytest.mark.parametrize(
    ("array", "change"),
    [
        ("X/indptr", lambda old: old + 1),
        ("X/indptr", lambda old: old[:-1]),
        ("X/indices", lambda old: np.append(old[:-1], 9)),
        ("X/indices", lambda old: np.append(old[:-1], -1)),
        ("X/data", lambda old: old[:-1]),
    ],
)
def test_broken_sparse_matrix_in_zarr(folder, array, change):
    old = zarr.open_group(folder, mode="r")[array][:]
    formats.overwrite(folder, array, change(old))
    assert refusal(folder).rule == "matrix-layout"


def test_size_that_zarr_chunks_cannot_hold(folder):
    formats.forget_consolidated(folder)
    formats.edit_json(
        folder / "obs/batch/codes/.zarray",
        lambda meta: meta.update(shape=[10**12], chunks=[10**12]),
    )
    assert refusal(folder).rule == "matrix-layout"


def test_zarr_without_a_matrix(folder):
    formats.forget_consolidated(folder)
    shutil.rmtree(folder / "X")
    assert refusal(folder).rule == "file-no-matrix"


def test_zarr_of_another_kind(tmp_path):
    zarr.open_group(tmp_path / "images.zarr", mode="w").create_array("images", data=np.ones(3))
    error = refusal(tmp_path / "images.zarr")
    assert error.rule == "file-format" and "images" in error.found


def test_metadata_that_is_no_json(folder):
    formats.forget_consolidated(folder)
    (folder / "X/data/.zarray").write_text("{")
    assert refusal(folder).rule == "file-damaged"


@pytest.mark.parametrize("target", ["X/data/0", "uns"])
def test_link_out_of_a_zarr_folder(folder, tmp_path, target):
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    place = folder / target
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    place.symlink_to(secret)
    assert refusal(folder).rule == "file-external-link"


class Canary:
    """Makes a folder where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


def test_pickle_in_zarr_is_never_run(folder, tmp_path):
    formats.forget_consolidated(folder)
    array = folder / "obs" / "_index"
    formats.edit_json(
        array / ".zarray", lambda meta: meta.update(filters=[{"id": "pickle"}], compressor=None)
    )
    for chunk in formats.chunks(array):
        chunk.write_bytes(pickle.dumps(Canary(tmp_path / "ran")))
    error = refusal(folder)
    assert error.rule in {"zarr-codec", "file-damaged"} and not (tmp_path / "ran").exists()


def test_codec_that_is_not_known(folder):
    formats.forget_consolidated(folder)
    formats.edit_json(
        folder / "X/data/.zarray",
        lambda meta: meta.update(
            filters=[{"id": "fixedscaleoffset", "scale": 1, "offset": 0, "dtype": "<f4"}]
        ),
    )
    error = refusal(folder)
    assert error.rule == "zarr-codec" and "fixedscaleoffset" in error.found


def test_csc_in_zarr(cells, tmp_path, table):
    expected, _ = standardise(cells, table)
    cells.X = sparse.csc_matrix(cells.X)
    found, _ = standardise(read_cells(formats.write_zarr(cells, tmp_path)), table)
    assert (found.X != expected.X).nnz == 0


def test_what_a_zarr_folder_is_called_does_not_matter(folder):
    moved = folder.rename(folder.with_name("study"))
    assert isinstance(read_cells(moved), ad.AnnData)
