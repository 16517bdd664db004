"""Every source is read, and every file that is none is refused by one named rule."""

import os
import signal
from collections import Counter
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
from scipy import sparse

from sc_mamba2.cells import EMBEDDED, read_cells, simulate_cells, standardise
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table


def refusal(source) -> UserError:
    with pytest.raises(UserError) as caught:
        read_cells(source)
    return caught.value


def edit(path, name, values=None, **attributes):
    """Replace a data set of a file, or set attributes of it."""
    with h5py.File(path, "r+") as file:
        if values is not None:
            kept = dict(file[name].attrs)
            del file[name]
            file[name] = values
            file[name].attrs.update(kept)
        file[name].attrs.update(attributes)


@pytest.mark.parametrize("as_path", [str, Path])
def test_h5ad_is_read_as_written(cells, h5ad, as_path):
    read = read_cells(as_path(h5ad))
    assert list(read.obs_names) == list(cells.obs_names)
    assert list(read.var_names) == list(cells.var_names)
    assert (read.X != cells.X).nnz == 0 and (read.layers["counts"] != cells.X).nnz == 0
    assert list(read.obs["cell_type"]) == list(cells.obs["cell_type"])


@pytest.mark.parametrize("form", [np.asarray, sparse.csc_matrix, sparse.csr_matrix])
def test_every_form_of_matrix_is_read(cells, tmp_path, form):
    counts = cells.X.toarray()
    cells.X = form(counts)
    cells.raw = cells
    cells.write_h5ad(tmp_path / "cells.h5ad", compression="gzip")
    read = read_cells(tmp_path / "cells.h5ad")
    for matrix in (read.X, read.raw.X):
        assert np.array_equal(matrix.toarray() if sparse.issparse(matrix) else matrix, counts)


def test_10x_is_read_with_all_its_features(cells, tenx):
    read = read_cells(tenx)
    assert np.array_equal(read.X.toarray(), cells.X.toarray())
    assert list(read.obs_names) == list(cells.obs_names)
    assert list(read.var["gene_ids"]) == list(cells.var_names)
    assert list(read.var["gene_symbols"]) == list(cells.var["symbol"])
    assert list(read.var["feature_types"])[-2:] == ["Gene Expression", "Antibody Capture"]


@pytest.mark.parametrize("name", EMBEDDED)
def test_named_sources(name):
    read = read_cells(name)
    assert read.n_obs > 100 and read.n_vars > 100


def test_unknown_named_source_names_the_nearest():
    error = refusal("scanpy:pbmc68k")
    assert error.rule == "source-unknown" and "'scanpy:pbmc68k_reduced'" in error.mend


def test_shared_10x_export_is_read(shared_data):
    assert read_cells(shared_data / "pbmc_donorA_10x.h5ad").n_obs > 0


def test_missing_file_names_the_nearest(h5ad):
    error = refusal(h5ad.with_name("celis.h5ad"))
    assert error.rule == "file-missing" and "did you mean 'cells.h5ad'?" in error.mend


def test_missing_folder(tmp_path):
    assert refusal(tmp_path / "no" / "such.h5ad").rule == "file-missing"


def test_folder(tmp_path):
    assert refusal(tmp_path).rule == "file-is-folder"


def test_unreadable_file(h5ad, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(h5ad).rule == "file-unreadable"


@pytest.mark.parametrize(
    ("content", "rule"),
    [(b"", "file-empty"), (b"gene,cell\nCD3E,1\n", "file-format"), (b"\x89HDF", "file-format")],
)
def test_what_is_no_hdf5(tmp_path, content, rule):
    path = tmp_path / "cells.h5ad"
    path.write_bytes(content)
    assert refusal(path).rule == rule


def test_hdf5_of_another_kind_tells_what_it_holds(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["images"] = [1, 2]
    error = refusal(tmp_path / "other.h5")
    assert error.rule == "file-format" and "images" in error.found


def test_a_member_where_a_group_belongs(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["matrix"] = 3
    assert refusal(tmp_path / "other.h5").rule == "file-damaged"


def test_no_matrix(h5ad):
    with h5py.File(h5ad, "r+") as file:
        for place in {"X", "raw", "layers"} & set(file):
            del file[place]
    assert refusal(h5ad).rule == "file-no-matrix"


def test_counts_in_a_layer_need_no_x(tmp_path):
    cells = simulate_cells(12, 60)
    cells.layers["counts"], counts = cells.X.copy(), cells.X
    cells.X = None
    cells.write_h5ad(tmp_path / "cells.h5ad")
    standard, report = standardise(read_cells(tmp_path / "cells.h5ad"), load_gene_table())
    assert report["expression"]["origin"] == "layers[counts]"
    assert (standard.layers["counts"] != counts).nnz == 0


@pytest.mark.parametrize("place", ["X", "uns/elsewhere"])
def test_link_to_another_file(h5ad, tmp_path, place):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["X"] = np.ones((12, 9))
    with h5py.File(h5ad, "r+") as file:
        if place in file:
            del file[place]
        file[place] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "X")
    assert refusal(h5ad).rule == "file-external-link"


def test_values_kept_in_another_file(h5ad, tmp_path):
    (tmp_path / "secret.bin").write_bytes(bytes(12 * 9 * 4))
    with h5py.File(h5ad, "r+") as file:
        del file["X"]
        outside = [(str(tmp_path / "secret.bin"), 0, 12 * 9 * 4)]
        file.create_dataset("X", shape=(12, 9), dtype="f4", external=outside)
    assert refusal(h5ad).rule == "file-external-link"


def test_virtual_values(h5ad, tmp_path):
    layout = h5py.VirtualLayout(shape=(12, 9), dtype="f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "X", shape=(12, 9))
    with h5py.File(h5ad, "r+") as file:
        del file["X"]
        file.create_virtual_dataset("X", layout)
    assert refusal(h5ad).rule == "file-external-link"


def test_links_in_a_circle(h5ad):
    with h5py.File(h5ad, "r+") as file:
        file["uns/circle"] = file["uns"]
    assert refusal(h5ad).rule == "file-damaged"


def falling(pointers: np.ndarray) -> np.ndarray:
    """The first and the last pointer as they were, and one too high between them."""
    return np.concatenate([[0, pointers[-1]], pointers[2:]])


@pytest.mark.parametrize("group", ["X", "layers/counts"])
@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("indptr", falling),
        ("indptr", lambda old: old + 1),
        ("indptr", lambda old: old[:-1]),
        ("indptr", lambda old: np.append(old[:-1], old[-1] - 1)),
        ("indices", lambda old: np.append(old[:-1], 9)),
        ("indices", lambda old: np.append(old[:-1], -1)),
        ("indices", lambda old: np.append(old, 0)),
        ("data", lambda old: old[:-1]),
    ],
)
def test_broken_sparse_matrix(h5ad, group, part, values):
    with h5py.File(h5ad) as file:
        old = file[f"{group}/{part}"][:]
    edit(h5ad, f"{group}/{part}", values(old))
    error = refusal(h5ad)
    assert error.rule == "matrix-layout" and group in error.found


@pytest.mark.parametrize("shape", [(10**9, 10**9), (12, 2**40), (-12, 9)])
def test_impossible_declared_shape(h5ad, shape):
    edit(h5ad, "X", shape=np.array(shape))
    assert refusal(h5ad).rule == "matrix-layout"


def test_sparse_matrix_without_a_shape(h5ad):
    with h5py.File(h5ad, "r+") as file:
        del file["X"].attrs["shape"]
    assert refusal(h5ad).rule == "matrix-layout"


@pytest.mark.parametrize("side", [10**5, 10**9])
def test_dense_matrix_that_the_file_does_not_hold(h5ad, side):
    with h5py.File(h5ad, "r+") as file:
        del file["X"]
        file.create_dataset("X", shape=(side, side), dtype="f4", chunks=(100, 100))
    assert refusal(h5ad).rule == "matrix-layout"


def test_matrix_of_another_size_than_its_tables(h5ad):
    edit(h5ad, "X/indptr", np.zeros(6, dtype=int))
    edit(h5ad, "X/indices", np.zeros(0, dtype=int))
    edit(h5ad, "X/data", np.zeros(0, dtype="f4"))
    edit(h5ad, "X", shape=np.array((5, 9)))
    assert refusal(h5ad).rule == "file-damaged"


@pytest.mark.parametrize(
    ("part", "values"),
    [
        ("indices", lambda old: np.append(old[:-1], 9)),
        ("indptr", falling),
        ("shape", lambda old: np.array([10**9, 10**9])),
    ],
)
def test_broken_10x_matrix(tenx, part, values):
    with h5py.File(tenx) as file:
        old = file[f"matrix/{part}"][:]
    edit(tenx, f"matrix/{part}", values(old))
    assert refusal(tenx).rule == "matrix-layout"


@pytest.mark.parametrize("kind", ["h5ad", "tenx"])
def test_truncated_at_many_points(kind, request):
    path = request.getfixturevalue(kind)
    content = path.read_bytes()
    for share in np.linspace(0, 0.999, 40):
        path.write_bytes(content[: int(share * len(content))])
        assert refusal(path).rule in {"file-empty", "file-format", "file-damaged", "matrix-layout"}


@pytest.mark.slow  # of an h5ad a few stay with the mutations of tests/faults
@pytest.mark.parametrize("kind", ["h5ad", "tenx"])
def test_flipped_bytes_give_a_refusal_or_cells(kind, request):
    """Never a traceback. Each try has its own process: libhdf5 2.0 itself may crash, or loop for
    ever, on a broken heap of strings, and that must stay rare.
    """
    path = request.getfixturevalue(kind)
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    outcomes = Counter()
    for _ in range(60):
        broken = bytearray(content)
        for place in generator.integers(len(content), size=generator.integers(1, 9)):
            broken[place] = generator.integers(256)
        path.write_bytes(broken)
        outcomes[outcome_in_own_process(path)] += 1
    assert not outcomes["traceback"], outcomes
    assert outcomes["cells"] > 5 and outcomes["refused"] > 5, outcomes
    assert outcomes["killed"] <= 3, outcomes


def outcome_in_own_process(path) -> str:
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        try:
            os._exit(0 if isinstance(read_cells(path), ad.AnnData) else 2)
        except UserError:
            os._exit(1)
        except BaseException:
            os._exit(2)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return "killed"
    return ("cells", "refused", "traceback")[os.WEXITSTATUS(status)]
