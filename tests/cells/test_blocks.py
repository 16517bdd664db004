"""A file read a block at a time gives what it gives whole, whichever matrix is its expression."""

import tracemalloc
import warnings
from collections.abc import Callable

import anndata as ad
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import sparse
from tests.cells import formats
from tests.cells.formats import iter_cells

from sc_mamba2.cells import read_cells, simulate_cells, standardise
from sc_mamba2.cells.blocks import decide_stored_form
from sc_mamba2.cells.opening import open_cells
from sc_mamba2.cells.readers import layout
from sc_mamba2.errors import UserError

FORMS = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "dense": sparse.csr_matrix.toarray}


def assert_same(source, table, cells_a_block: int) -> None:
    whole, report = standardise(read_cells(source), table)
    blocks = list(iter_cells(source, cells_a_block))
    assert [block.n_obs for block in blocks[:-1]] == [cells_a_block] * (len(blocks) - 1)
    together = ad.concat(blocks)
    assert list(together.obs_names) == list(whole.obs_names)
    assert all(block.var.equals(whole.var) for block in blocks)
    assert all(block.uns["scm"] == whole.uns["scm"] for block in blocks)
    assert np.array_equal(together.X.toarray(), whole.X.toarray())
    assert set(together.layers) == set(whole.layers)
    for name, layer in whole.layers.items():
        assert np.array_equal(together.layers[name].toarray(), layer.toarray())
    assert together.obs.astype(str).equals(whole.obs.astype(str))
    with open_cells(source) as stored:
        form = decide_stored_form(stored, table, cells_a_block)
    assert form.report == {name: report[name] for name in form.report}


@pytest.mark.parametrize("kind", formats.WRITERS)
@pytest.mark.parametrize(
    "cells_a_block", [5, *(pytest.param(size, marks=pytest.mark.slow) for size in (1, 100))]
)
def test_blocks_of_every_format(kind, cells_a_block, cells, tmp_path, table):
    assert_same(formats.WRITERS[kind](cells, tmp_path), table, cells_a_block)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("write", [formats.write_h5ad, formats.write_zarr])
def test_blocks_of_every_form(form, write, tmp_path, table):
    cells = simulate_cells(12, 9)
    cells.X = FORMS[form](cells.X + sparse.csr_matrix(np.eye(12, 9, dtype="f4")))
    if form == "dense":
        cells.X += 1
    assert_same(write(cells, tmp_path), table, 5)


def normalised(cells: ad.AnnData) -> ad.AnnData:
    cells.X = sparse.csr_matrix(cells.X / 2, dtype=np.float32)
    return cells


def counts_in_raw(cells: ad.AnnData) -> ad.AnnData:
    cells.raw = cells
    cells = cells[:, 2:6].copy()
    cells.X = cells.X.toarray() - 1
    return cells


def counts_in_a_layer(cells: ad.AnnData) -> ad.AnnData:
    cells.layers["counts"] = cells.X
    return normalised(cells)


def late_fraction(cells: ad.AnnData) -> ad.AnnData:
    """Only the last cell shows that X holds no counts."""
    cells.layers["counts"] = cells.X.copy()
    cells.X.data[-1] = 0.5
    return cells


def proteins_among_the_genes(cells: ad.AnnData) -> ad.AnnData:
    cells.var["feature_types"] = ["Gene Expression"] * 6 + ["Antibody Capture"] * 3
    return cells


def one_gene_twice(cells: ad.AnnData) -> ad.AnnData:
    cells.var_names = [cells.var_names[1] + ".2", *cells.var_names[1:]]
    return cells


def no_x(cells: ad.AnnData) -> ad.AnnData:
    cells.layers["counts"] = cells.X
    cells.X = None
    return cells


def one_name_twice(cells: ad.AnnData) -> ad.AnnData:
    cells.obs.index = ["cell_0", *cells.obs_names[:-1]]
    return cells


def mouse(cells: ad.AnnData) -> ad.AnnData:
    del cells.var["symbol"]
    cells.var.index = [f"Cd{number}e" for number in range(cells.n_vars)]
    return cells


SHAPES = [
    normalised,
    counts_in_raw,
    counts_in_a_layer,
    late_fraction,
    proteins_among_the_genes,
    one_gene_twice,
    no_x,
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "write", [formats.write_h5ad, pytest.param(formats.write_zarr_3, marks=pytest.mark.slow)]
)
def test_the_choice_is_made_once_a_file(shape, write, cells, tmp_path, table):
    assert_same(write(shape(cells), tmp_path), table, 5)


@settings(max_examples=4)
@given(st.integers(1, 30), st.integers(0, 5))
def test_blocks_of_any_size(tmp_path_factory, table, cells_a_block, seed):
    path = formats.write_h5ad(simulate_cells(23, 12, seed), tmp_path_factory.mktemp("cells"))
    assert_same(path, table, cells_a_block)


def test_a_named_source(table):
    assert_same("simulated:three-types", table, 64)


def test_a_named_source_that_does_not_exist():
    with pytest.raises(UserError) as caught:
        next(iter_cells("simulated:two-types"))
    assert caught.value.rule == "source-unknown"


def test_a_layer_that_is_named(cells, tmp_path):
    cells.layers["spliced"] = cells.X + cells.X
    path = formats.write_h5ad(cells, tmp_path)
    blocks = list(iter_cells(path, 5, layer="spliced"))
    assert {block.uns["scm"]["expression"] for block in blocks} == {"layers[spliced]"}


@pytest.mark.parametrize(
    ("spoil", "rule"),
    [
        (lambda cells: cells[:0].copy(), "cells-none"),
        (lambda cells: cells.X.data.__setitem__(-1, np.nan) or cells, "matrix-unusable"),
        (lambda cells: cells.X.data.__setitem__(-1, -1) or cells, "matrix-unusable"),
        (lambda cells: cells.X.data.__imul__(0) is not None and cells, "matrix-unusable"),
        (one_name_twice, "cells-names"),
        (mouse, "genes-unmatched"),
    ],
)
def test_refusals_are_those_of_the_whole(spoil, rule, cells, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = formats.write_h5ad(spoil(cells), tmp_path)
        with pytest.raises(UserError) as caught:
            list(iter_cells(path, 5))
    assert caught.value.rule == rule


def test_a_chunk_that_does_not_unpack_is_found_while_reading(tmp_path):
    path = tmp_path / "cells.h5ad"
    simulate_cells(200, 60).write_h5ad(path, compression="gzip")
    content = path.read_bytes()
    start = content.index(b"\x78\x5e") if b"\x78\x5e" in content else content.index(b"\x78")
    path.write_bytes(content[: start + 40] + bytes(40) + content[start + 80 :])
    with pytest.raises(UserError) as caught:
        list(iter_cells(path, 50))
    assert caught.value.rule in {"file-damaged", "matrix-layout"}


def peak(read: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_matrix(tmp_path, table, monkeypatch):
    """Twenty times the genes in blocks of one size; what is looked at together is made small."""
    monkeypatch.setattr(layout, "PART", 2**12)
    peaks = []
    for genes in (100, 2000):
        path = tmp_path / f"{genes}.h5ad"
        simulate_cells(1000, genes).write_h5ad(path)
        whole = peak(lambda path=path: standardise(read_cells(path), table))
        peaks.append((whole, peak(lambda path=path: sum(1 for _ in iter_cells(path, 20)))))
    assert peaks[1][1] < peaks[1][0] / 10, peaks
    assert peaks[1][1] < 3 * peaks[0][1], peaks
