"""A SOMA experiment gives the cells that the `.h5ad` gives that it was made from."""

import sys
import warnings

import anndata as ad
import numpy as np
import pytest
from tests.cells.formats import iter_cells

from sc_mamba2.cells import simulate_cells, standardise
from sc_mamba2.cells.corpus import CorpusFilters, ReadingRules, ingest_corpus
from sc_mamba2.cells.opening import open_cells
from sc_mamba2.cells.soma import SomaSource, census_source
from sc_mamba2.errors import UserError


def test_without_the_package_one_clear_message(monkeypatch):
    monkeypatch.setitem(sys.modules, "tiledbsoma", None)
    with pytest.raises(UserError) as caught:
        list(iter_cells(SomaSource("somewhere")))
    assert caught.value.rule == "soma-missing" and "sc-mamba2[census]" in caught.value.mend


def test_the_census_is_an_address_with_the_columns_of_the_filters():
    source = census_source("is_primary_data == True")
    assert source.uri.endswith("/2024-07-01/soma/census_data/homo_sapiens")
    assert {"tissue", "disease", "assay", "is_primary_data"} <= set(source.columns)


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    cells = simulate_cells(30, 40)
    cells.obs["tissue"] = ["blood", "lung"] * 15
    cells.obs["is_primary_data"] = [True] * 27 + [False] * 3
    return cells


@pytest.fixture(scope="module")
def experiment(cells, tmp_path_factory) -> str:
    io = pytest.importorskip("tiledbsoma.io", reason="needs the extra census")
    folder = tmp_path_factory.mktemp("soma")
    cells.write_h5ad(folder / "cells.h5ad")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return io.from_h5ad(
            str(folder / "experiment"), str(folder / "cells.h5ad"), "RNA", X_layer_name="raw"
        )


@pytest.mark.parametrize("cells_a_block", [4, 100])
@pytest.mark.parametrize("query", [None, "tissue == 'lung'"])
def test_queries_give_the_cells_of_the_file(cells, experiment, table, query, cells_a_block):
    asked = cells if query is None else cells[cells.obs["tissue"] == "lung"].copy()
    whole, _ = standardise(asked, table)
    together = ad.concat(list(iter_cells(SomaSource(experiment, query), cells_a_block)))
    assert list(together.obs_names) == list(whole.obs_names)
    assert list(together.var_names) == list(whole.var_names)
    assert np.array_equal(together.X.toarray(), whole.X.toarray())
    assert list(together.obs["tissue"].astype(str)) == list(whole.obs["tissue"])


def test_an_experiment_is_a_source_of_a_corpus(experiment):
    source = SomaSource(experiment, columns=("tissue", "is_primary_data"))
    rules = ReadingRules(CorpusFilters(tissue=("blood",), minimum_matched_share=0))
    with pytest.raises(UserError) as caught:
        ingest_corpus([source], rules, len)
    assert caught.value.rule == "genes-matched"  # forty genes are too few for a corpus


def test_columns_that_are_asked_for(experiment):
    with open_cells(SomaSource(experiment, columns=("tissue",))) as stored:
        assert set(stored.obs.columns) == {"obs_id", "tissue"}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"uri": "/nowhere/at/all"}, "soma-open"),
        ({"measurement": "protein"}, "soma-query"),
        ({"layer": "scaled"}, "soma-query"),
        ({"value_filter": "no_column == 3"}, "soma-query"),
        ({"value_filter": "tissue ="}, "soma-query"),
        ({"columns": ("no_column",)}, "soma-query"),
        ({"value_filter": "tissue == 'skin'"}, "cells-none"),
    ],
)
def test_refusals(experiment, change, rule):
    with pytest.raises(UserError) as caught:
        list(iter_cells(SomaSource(**({"uri": experiment} | change))))
    assert caught.value.rule == rule
