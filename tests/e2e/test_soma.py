"""A SOMA experiment by its name: what verbs make of it is what they make of the file it came from."""

import warnings

import anndata as ad
import numpy as np
import pytest
from tests.checkpoints import write_random_checkpoint
from typer.testing import CliRunner

from sc_mamba2.cells import read_cells, simulate_cells
from sc_mamba2.cells.corpus import CorpusFilters
from sc_mamba2.cells.soma import SomaSource
from sc_mamba2.commands import app
from sc_mamba2.commands.options import resolve_source
from sc_mamba2.tasks.pretraining.corpus import make_corpus
from sc_mamba2.tasks.pretraining.params import CorpusParams
from sc_mamba2.tokens import TokenStore

io = pytest.importorskip("tiledbsoma.io", reason="needs the extra census")
QUERY = "tissue == 'lung' and is_primary_data == True"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("soma")
    cells = simulate_cells(40)
    cells.obs["tissue"] = ["blood", "lung"] * 20
    cells.obs["is_primary_data"] = [True] * 30 + [False] * 10
    cells.write_h5ad(folder / "cells.h5ad")
    chosen = (cells.obs["tissue"] == "lung") & cells.obs["is_primary_data"]
    cells[chosen].write_h5ad(folder / "lung.h5ad")
    write_random_checkpoint(folder / "checkpoint")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        io.from_h5ad(
            str(folder / "experiment"), str(folder / "cells.h5ad"), "RNA", X_layer_name="raw"
        )
    return folder


def test_names_are_sources(folder, monkeypatch):
    census = SomaSource.of("soma:census?tissue == 'eye'")
    assert census.uri.startswith("s3://") and census.value_filter == "tissue == 'eye'"
    assert SomaSource.of("soma:s3://some/where").value_filter is None
    monkeypatch.chdir(folder)
    assert resolve_source(f"soma:experiment?{QUERY}") == f"soma:{folder / 'experiment'}?{QUERY}"
    found, cells = read_cells(f"soma:experiment?{QUERY}"), ad.read_h5ad("lung.h5ad")
    assert list(found.obs_names) == list(cells.obs_names) and (found.X != cells.X).nnz == 0


@pytest.mark.slow
@pytest.mark.parametrize("nproc", [1, 2])
def test_embed(folder, nproc):
    for source, out in ((f"soma:{folder}/experiment?{QUERY}", "s"), (folder / "lung.h5ad", "f")):
        words = ["embed", source, "-o", folder / f"{out}{nproc}.h5ad", "-c", folder / "checkpoint"]
        words += ["-k", "cell_type", "--nproc", nproc]
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output + repr(result.exception)
    found, expected = (ad.read_h5ad(folder / f"{out}{nproc}.h5ad") for out in ("s", "f"))
    assert np.array_equal(found.obsm["X_scm"], expected.obsm["X_scm"]) and found.n_vars == 0
    assert list(found.obs["tissue"]) == ["lung"] * 15


@pytest.mark.parametrize("query", ["", "?tissue == 'lung'"])
def test_a_corpus(folder, tmp_path, query):
    def made(source: str) -> tuple[dict, TokenStore]:
        params = CorpusParams(
            sources=(source,),
            store=str(tmp_path / "store"),
            keep_columns=("tissue", "cell_type"),
            filters=CorpusFilters(tissue=("lung",)),
        )
        return make_corpus(params), TokenStore.open(tmp_path / "store")

    report, store = made(f"soma:{folder}/experiment{query}")
    dropped = report["total"]["dropped"]
    assert dropped["is_primary_data"] == (10 if not query else 5)
    found = store.take(np.arange(len(store)))
    _, store = made(str(folder / "cells.h5ad"))
    expected = store.take(np.arange(len(store)))
    assert len(found) == 15 and np.array_equal(found.gene_rows, expected.gene_rows)
    assert np.array_equal(found.values, expected.values)
    assert list(found.obs["tissue"]) == ["lung"] * 15
