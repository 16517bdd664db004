"""The same cells come out of every format, and every format's damage is one named refusal."""

import gzip
import os
import pickle
import shutil
import warnings
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
import zarr
from scipy import sparse
from tests.cells import formats

from sc_mamba2.cells import read_cells, standardise
from sc_mamba2.errors import UserError

ZARRS = ["zarr", "zarr_3"]
FOLDERS = ["tenx_mtx", "tenx_mtx_2", "tenx_mtx_of_geo"]


@pytest.fixture(params=formats.WRITERS)
def stored(request, cells, tmp_path) -> Path:
    return formats.WRITERS[request.param](cells, tmp_path)


@pytest.fixture
def folder(cells, tmp_path) -> Path:
    return formats.write_zarr(cells, tmp_path)


@pytest.fixture
def mtx(cells, tmp_path) -> Path:
    return formats.write_tenx_mtx(cells, tmp_path, 2)


def refusal(source: Path) -> UserError:
    with warnings.catch_warnings(), pytest.raises(UserError) as caught:
        warnings.simplefilter("ignore")
        read_cells(source)
    return caught.value


def test_every_format_gives_the_same_cells(cells, stored, table):
    expected, _ = standardise(cells, table)
    found, report = standardise(read_cells(stored), table)
    assert list(found.obs_names) == list(expected.obs_names)
    assert found.var.equals(expected.var)
    assert (found.X != expected.X).nnz == 0
    assert report["expression"]["kind"] == "counts"


@pytest.mark.parametrize("kind", ["h5ad", "zarr", "zarr_3", "loom", "h5mu"])
def test_the_table_of_cells_comes_along(kind, cells, tmp_path):
    read = read_cells(formats.WRITERS[kind](cells, tmp_path))
    assert list(read.obs["cell_type"].astype(str)) == list(cells.obs["cell_type"].astype(str))


def test_h5mu_takes_what_only_the_joint_table_has(cells, tmp_path):
    read = read_cells(formats.write_h5mu(cells, tmp_path))
    assert list(read.obs.columns) == ["cell_type", "batch", "joint"]
    assert list(read.obs["joint"]) == list(range(cells.n_obs))


def test_h5mu_of_mudata_itself(cells, tmp_path):
    mudata = pytest.importorskip("mudata", reason="needs mudata")
    proteins = cells[:, :2].copy()
    proteins.var_names = ["CD3", "CD4"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mudata.MuData({"prot": proteins, "rna": cells}).write(tmp_path / "cells.h5mu")
    read = read_cells(tmp_path / "cells.h5mu")
    assert list(read.var_names) == list(cells.var_names) and (read.X != cells.X).nnz == 0


def test_antibodies_of_a_folder_are_left_out(cells, tmp_path):
    path = formats.write_tenx_mtx(cells, tmp_path)
    with gzip.open(path / "features.tsv.gz", "rt") as file:
        lines = file.read().splitlines()
    lines[-1] = lines[-1].replace("Gene Expression", "Antibody Capture")
    with gzip.open(path / "features.tsv.gz", "wt") as file:
        file.write("\n".join(lines))
    read = read_cells(path)
    assert np.array_equal(read.X.toarray(), cells.X.toarray()[:, :-1])


def test_zarr_leaves_out_what_is_zero_in_tables(cells, tmp_path):
    """One category, False and 0.0 everywhere: zarr writes no chunk for these, and they are read."""
    cells.obs["tissue"], cells.obs["doublet"], cells.obs["score"] = "blood", False, 0.0
    read = read_cells(formats.write_zarr(cells, tmp_path))
    assert set(read.obs["tissue"]) == {"blood"} and not read.obs["doublet"].any()


@pytest.mark.parametrize("kind", ZARRS)
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


@pytest.mark.parametrize("lost", ["barcodes.tsv", "genes.tsv"])
def test_incomplete_folder(mtx, lost):
    (mtx / lost).unlink()
    error = refusal(mtx)
    assert error.rule == "folder-incomplete" and lost in error.found


def test_two_matrices_in_one_folder(mtx):
    shutil.copy(mtx / "matrix.mtx", mtx / "other_matrix.mtx")
    assert refusal(mtx).rule == "folder-ambiguous"


@pytest.mark.parametrize("name", ["barcodes.tsv", "matrix.mtx"])
def test_link_out_of_a_10x_folder(mtx, tmp_path, name):
    (mtx / name).rename(tmp_path / name)
    (mtx / name).symlink_to(tmp_path / name)
    assert refusal(mtx).rule == "file-external-link"


@pytest.mark.parametrize(
    ("name", "change", "rule"),
    [
        ("matrix.mtx", lambda text: text.replace("\n9 12 ", "\n9 13 "), "matrix-layout"),
        ("matrix.mtx", lambda text: text.replace("\n9 12 ", "\n9 12 9999999"), "matrix-layout"),
        ("matrix.mtx", lambda text: text[: len(text) // 2], "matrix-layout"),
        ("matrix.mtx", lambda text: text.rsplit("\n", 2)[0], "file-damaged"),
        ("matrix.mtx", lambda text: text.replace("matrix coordinate", "nothing"), "file-damaged"),
        ("matrix.mtx", lambda text: "", "file-damaged"),
        ("matrix.mtx", lambda text: text + "10 1 5\n", "file-damaged"),
        ("barcodes.tsv", lambda text: text + "cell_x\n", "matrix-layout"),
        ("genes.tsv", lambda text: text.split("\n", 1)[1], "matrix-layout"),
        ("genes.tsv", lambda text: "", "file-damaged"),
    ],
)
def test_damaged_10x_folder(mtx, name, change, rule):
    text = (mtx / name).read_text()
    assert change(text) != text
    (mtx / name).write_text(change(text))
    assert refusal(mtx).rule == rule


def test_truncated_gzip(cells, tmp_path):
    path = formats.write_tenx_mtx(cells, tmp_path)
    packed = path / "matrix.mtx.gz"
    packed.write_bytes(packed.read_bytes()[:-20])
    assert refusal(path).rule == "file-damaged"


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.pop("row_attrs/Gene") and file.create_dataset("row_attrs/Gene", data=[1]),
        lambda file: file.pop("matrix") and file.create_dataset("matrix", data=np.ones((2, 2))),
        lambda file: file.pop("matrix") and file.create_dataset("matrix", data=np.ones(9)),
        lambda file: file.create_dataset("layers/other", data=np.ones((3, 3))),
    ],
)
def test_loom_that_contradicts_itself(cells, tmp_path, change):
    path = formats.write_loom(cells, tmp_path)
    with h5py.File(path, "r+") as file:
        change(file)
    assert refusal(path).rule == "file-damaged"


def test_loom_without_names_of_cells_numbers_them(cells, tmp_path):
    path = formats.write_loom(cells, tmp_path)
    with h5py.File(path, "r+") as file:
        del file["col_attrs/CellID"]
    assert list(read_cells(path).obs_names) == [str(number) for number in range(12)]


def test_h5mu_without_rna(cells, tmp_path):
    path = formats.write_h5mu(cells, tmp_path)
    with h5py.File(path, "r+") as file:
        file.move("mod/rna", "mod/atac")
    error = refusal(path)
    assert error.rule == "modality-missing" and "atac" in error.found


def test_h5mu_with_a_broken_modality(cells, tmp_path):
    path = formats.write_h5mu(cells, tmp_path)
    with h5py.File(path, "r+") as file:
        file["mod/rna/X/indices"][-1] = 99
    assert refusal(path).rule == "matrix-layout"


def test_h5mu_that_reads_another_file(cells, tmp_path):
    path = formats.write_h5mu(cells, tmp_path)
    with h5py.File(path, "r+") as file:
        del file["mod/rna/X"]
        file["mod/rna/X"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "X")
    assert refusal(path).rule in {"file-external-link", "file-damaged"}


def test_two_genomes_in_a_cell_ranger_2_file(cells, tmp_path):
    path = formats.write_tenx_h5_2(cells, tmp_path)
    with h5py.File(path, "r+") as file:
        file.copy("GRCh38", "mm10")
    assert refusal(path).rule == "file-damaged"


def test_csc_in_zarr(cells, tmp_path, table):
    expected, _ = standardise(cells, table)
    cells.X = sparse.csc_matrix(cells.X)
    found, _ = standardise(read_cells(formats.write_zarr(cells, tmp_path)), table)
    assert (found.X != expected.X).nnz == 0


def test_what_a_zarr_folder_is_called_does_not_matter(folder):
    moved = folder.rename(folder.with_name("study"))
    assert isinstance(read_cells(moved), ad.AnnData)
