"""The same cells come out of every format, and every format's damage is one named refusal."""

import gzip
import shutil
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from tests.cells import formats
from tests.cells.formats import refusal

from sc_mamba2.cells import read_cells, standardise

FOLDERS = ["tenx_mtx", "tenx_mtx_2", "tenx_mtx_of_geo"]


@pytest.fixture(params=formats.WRITERS)
def stored(request, cells, tmp_path) -> Path:
    return formats.WRITERS[request.param](cells, tmp_path)


@pytest.fixture
def mtx(cells, tmp_path) -> Path:
    return formats.write_tenx_mtx(cells, tmp_path, 2)


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


def test_a_folder_is_read_with_all_its_features(cells, tmp_path):
    path = formats.write_tenx_mtx(cells, tmp_path)
    with gzip.open(path / "features.tsv.gz", "rt") as file:
        lines = file.read().splitlines()
    lines[-1] = lines[-1].replace("Gene Expression", "Antibody Capture")
    with gzip.open(path / "features.tsv.gz", "wt") as file:
        file.write("\n".join(lines))
    read = read_cells(path)
    assert np.array_equal(read.X.toarray(), cells.X.toarray())
    assert list(read.var["feature_types"])[-2:] == ["Gene Expression", "Antibody Capture"]


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
