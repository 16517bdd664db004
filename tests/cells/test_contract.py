"""Every rule of the two contracts, each broken by one change to sound cells."""

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from sc_mamba2.cells import CellsContract, RawCellsContract, simulate_cells, standardise
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table


def broken_rule(contract, cells) -> UserError:
    with pytest.raises(UserError) as caught:
        contract.validate(cells)
    return caught.value


def test_sound_cells_come_back_as_they_are(cells):
    assert RawCellsContract().validate(cells) is cells


def test_repeated_and_missing_labels_are_not_the_contracts_matter(cells):
    cells.obs["cell_type"] = None
    RawCellsContract().validate(cells)


@pytest.mark.parametrize(("shape", "rule"), [((0, 9), "cells-none"), ((12, 0), "genes-none")])
def test_nothing_there(cells, shape, rule):
    assert broken_rule(RawCellsContract(), cells[: shape[0], : shape[1]].copy()).rule == rule


def test_repeated_barcodes_are_named(cells):
    cells.obs_names = ["twice", "twice", *cells.obs_names[2:]]
    error = broken_rule(RawCellsContract(), cells)
    assert error.rule == "cells-names" and "twice" in error.found


@pytest.mark.parametrize("name", ["", "  "])
def test_genes_without_a_name(cells, name):
    cells.var_names = [name, *cells.var_names[1:]]
    error = broken_rule(RawCellsContract(), cells)
    assert error.rule == "genes-names" and error.found.startswith("1 genes")


def test_transposed_matrix(cells):
    assert broken_rule(RawCellsContract(), cells.T.copy()).rule == "matrix-transposed"


def test_transposed_matrix_of_symbols(cells):
    cells.var_names = list(cells.var["symbol"])
    turned = cells.T.copy()
    error = broken_rule(RawCellsContract(), turned)
    assert error.rule == "matrix-transposed"
    assert RawCellsContract().validate(turned.T.copy()).shape == cells.shape  # the mend


@pytest.fixture
def standard(cells) -> ad.AnnData:
    return standardise(cells, load_gene_table())[0]


def test_standard_cells_come_back_as_they_are(standard):
    assert CellsContract().validate(standard) is standard


def test_embedded_cells_keep_both_contracts():
    cells = RawCellsContract().validate(simulate_cells())
    CellsContract().validate(standardise(cells, load_gene_table())[0])


@pytest.mark.parametrize(
    "names",
    [
        lambda old: ["CD3E", *old[1:]],
        lambda old: [old[1], *old[1:]],
        lambda old: [old[0] + ".1", *old[1:]],
    ],
)
def test_standard_genes(standard, names):
    standard.var_names = names(list(standard.var_names))
    assert broken_rule(CellsContract(), standard).rule == "genes-standard"


@pytest.mark.parametrize("column", ["symbol", "biotype"])
def test_standard_gene_columns(standard, column):
    del standard.var[column]
    error = broken_rule(CellsContract(), standard)
    assert error.rule == "genes-standard" and column in error.found


def test_standard_cell_names(standard):
    standard.obs_names = ["twice"] * standard.n_obs
    assert broken_rule(CellsContract(), standard).rule == "cells-names"


def test_standard_cells_are_some(standard):
    assert broken_rule(CellsContract(), standard[:0].copy()).rule == "cells-none"


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda x: x.astype(np.float64), "float64"),
        (lambda x: -x, "values from -"),
        (lambda x: x * np.float32("nan"), "NaN"),
        (lambda x: x * np.float32("inf"), "infinite"),
        (lambda x: x.toarray(), "ndarray"),
        (sparse.csc_matrix, "csc_matrix"),
    ],
)
def test_standard_matrix(standard, change, word):
    standard.X = change(standard.X)
    error = broken_rule(CellsContract(), standard)
    assert error.rule == "matrix-standard" and word in error.found


def test_a_standard_matrix_may_be_empty(standard):
    standard.X = sparse.csr_matrix(standard.shape, dtype=np.float32)
    CellsContract().validate(standard)
