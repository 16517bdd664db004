"""What would not fit into memory is refused by its header; libhdf5 may hang or crash in a child alone."""

import os
import signal
import time

import h5py
import mudata
import numpy as np
import pytest
from anndata import AnnData
from scipy import io
from tests.cli import entered, refused

from sc_mamba2.cells import read_cells, simulate_cells
from sc_mamba2.cells.readers import memory, probe
from sc_mamba2.errors import UserError


def written(folder, kind):
    cells = simulate_cells(60, 200)
    if kind == "mtx":
        folder = folder / "mtx"
        folder.mkdir()
        io.mmwrite(folder / "matrix.mtx", cells.X.T)
        (folder / "barcodes.tsv").write_text("\n".join(cells.obs_names))
        (folder / "genes.tsv").write_text("\n".join(cells.var_names))
        return folder
    path = folder / f"cells.{kind.split()[-1]}"
    if kind == "h5mu":
        mudata.MuData({"rna": cells}).write_h5mu(path)
    elif kind == "zarr":
        cells.write_zarr(path)
    else:
        dense = AnnData(X=cells.X.toarray(), obs=cells.obs, var=cells.var)
        (dense if kind.startswith("dense") else cells).write_h5ad(path)
    return path


@pytest.mark.parametrize("kind", ["h5ad", "dense h5ad", "zarr", "h5mu", "mtx"])
def test_what_does_not_fit_is_refused_with_the_number(tmp_path, monkeypatch, kind):
    path = written(tmp_path, kind)
    monkeypatch.setattr(memory, "available_bytes", lambda: 10_000)
    with pytest.raises(UserError, match=r"memory-short.*GiB in memory.*0\.0 GiB are free"):
        read_cells(path)
    if kind in ("h5ad", "dense h5ad", "zarr"):  # are read by blocks
        entered("validate", path)
    else:
        refused("validate", path, rule="memory-short", folder=tmp_path)


def test_a_dense_matrix_is_counted_as_it_is_declared_not_as_it_is_packed(tmp_path):
    path = written(tmp_path, "dense h5ad")
    with h5py.File(path, "r+") as file:
        del file["X"]
        file.create_dataset("X", (60, 200), "f8", fillvalue=0, chunks=(60, 200), compression=9)
        assert memory.stored_bytes(file) > 60 * 200 * 8


def test_the_memory_that_is_free(tmp_path, monkeypatch):
    (tmp_path / "info").write_text("MemTotal: 9 kB\nMemAvailable:   2048 kB\n")
    (tmp_path / "max").write_text("1000000\n")
    (tmp_path / "now").write_text("400000\n")
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "info")
    monkeypatch.setattr(memory, "_LIMITS", ())
    assert memory.available_bytes() == 2048 * 1024
    monkeypatch.setattr(memory, "_LIMITS", ((tmp_path / "max", tmp_path / "now"),))
    assert memory.available_bytes() == 600_000
    (tmp_path / "max").write_text("max\n")  # no limit
    assert memory.available_bytes() == 2048 * 1024
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "none")
    assert memory.available_bytes() is None
    memory.check_memory(10**18, tmp_path)  # nobody says


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork")
@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (lambda *_: time.sleep(60), "hangs"),
        (lambda *_: os.kill(os.getpid(), signal.SIGSEGV), "SIGSEGV"),
    ],
)
def test_a_library_that_hangs_or_crashes(tmp_path, monkeypatch, fault, word):
    path = written(tmp_path, "h5ad")
    monkeypatch.setattr(probe, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(probe, "_walk", fault)
    assert word in refused("validate", path, rule="file-damaged", folder=tmp_path)


def test_a_good_file_costs_little_and_the_reader_says_what_is_bad(tmp_path):
    path = written(tmp_path, "h5ad")
    started = time.perf_counter()
    probe.probe_hdf5(path)
    assert time.perf_counter() - started < 1  # milliseconds, on a quiet machine
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UserError, match="file-damaged"):
        read_cells(path)
    with pytest.raises(UserError, match="file-damaged"):
        np.asarray(read_cells(path).X)
