"""Files become one store: whatever the workers, resumed after a kill, bad files told."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import sparse

from sc_mamba2.cells import simulate_cells
from sc_mamba2.cells.cell_ontology import load_cell_ontology
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.pretraining import corpus
from sc_mamba2.tasks.pretraining.corpus import make_corpus
from sc_mamba2.tasks.pretraining.params import CorpusParams
from sc_mamba2.tokens import TokenStore
from sc_mamba2.training.thinned_cells import TYPES


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for number in range(3):
        cells = simulate_cells(seed=number)[: 40 + number].copy()
        cells.obs_names = [f"{number}-{name}" for name in cells.obs_names]
        cells.obs["study"] = f"study{number}"
        cells.write_h5ad(folder / f"{number}.h5ad")
    return folder


def params_for(files, store, **changes):
    fields = {"sources": (str(files),), "store": str(store), "max_length": 50, "cells_a_block": 16}
    return CorpusParams(**(fields | changes))


def test_the_store_holds_every_cell_once_in_the_order_of_the_files(files, tmp_path):
    report = make_corpus(params_for(files, tmp_path / "store"))
    store = TokenStore.open(tmp_path / "store")
    assert len(store) == 40 + 41 + 42 == report["store"]["cells"]
    obs = store.obs()
    assert obs["study"].unique().tolist() == ["study0", "study1", "study2"]
    assert obs["source"].unique().tolist() == ["0.h5ad", "1.h5ad", "2.h5ad"]
    assert (obs["tissue"] == "").all()
    assert store.lengths.max() == 49
    assert [row["kept"] for row in report["files"]] == [40, 41, 42]
    assert not list(tmp_path.glob("*-parts"))


@pytest.mark.slow
def test_two_workers_write_the_same_store(files, tmp_path):
    one = make_corpus(params_for(files, tmp_path / "one"))
    two = make_corpus(params_for(files, tmp_path / "two", workers=2))
    assert one == two
    stores = [TokenStore.open(tmp_path / name) for name in ("one", "two")]
    assert stores[0].manifest.sha256 == stores[1].manifest.sha256


@pytest.mark.slow
def test_what_was_tokenised_before_a_kill_is_not_read_again(files, tmp_path, monkeypatch):
    whole = make_corpus(params_for(files, tmp_path / "whole"))
    tokenised = []
    make = corpus.make_tokenizer

    def counted(params):
        tokenised.append(len(tokenised))
        if len(tokenised) == 3:
            raise KeyboardInterrupt
        return make(params)

    monkeypatch.setattr(corpus, "make_tokenizer", counted)
    with pytest.raises(KeyboardInterrupt):
        make_corpus(params_for(files, tmp_path / "store"))
    tokenised[:] = [0, 0, 0]
    assert make_corpus(params_for(files, tmp_path / "store")) == whole
    assert len(tokenised) == 3 + 2  # the last file, and the joined store


def test_a_bad_file_stops_the_corpus_or_is_told(files, tmp_path):
    for path in files.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "1.h5ad").write_bytes(b"no cells")
    with pytest.raises(UserError, match="file-format"):
        make_corpus(params_for(tmp_path, tmp_path / "out" / "store"))
    assert not (tmp_path / "out" / "store").exists()
    report = make_corpus(params_for(tmp_path, tmp_path / "out" / "store", on_bad_file="skip"))
    assert [row["kept"] for row in report["files"]] == [40, 0, 42]
    assert "file-format" in str(report["files"][1]["error"])


def test_the_same_file_twice_adds_no_cell(files, tmp_path):
    copies = tmp_path / "files"
    copies.mkdir()
    for name in ("a.h5ad", "b.h5ad"):
        (copies / name).write_bytes((files / "0.h5ad").read_bytes())
    report = make_corpus(params_for(copies, tmp_path / "store"))
    assert report["total"]["dropped"]["duplicate"] == 40
    assert np.array_equal([row["kept"] for row in report["files"]], [40, 0])


@pytest.mark.slow
def test_a_finished_store_is_taken_as_it_is_until_a_file_changes(files, tmp_path, monkeypatch):
    copies = tmp_path / "files"
    copies.mkdir()
    for path in files.iterdir():
        (copies / path.name).write_bytes(path.read_bytes())
    params = params_for(copies, tmp_path / "store")
    first = make_corpus(params)

    def never(*arguments, **named):
        raise AssertionError("read again")

    with monkeypatch.context() as patched:
        patched.setattr(corpus, "ingest_corpus", never)
        assert make_corpus(params) == first
    (copies / "2.h5ad").unlink()
    assert make_corpus(params)["store"]["cells"] == 81


def test_tokens_that_are_counts_hold_the_counts_of_the_file(tmp_path):
    cells = simulate_cells(seed=1)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    counts = {"bins": "counts", "n_bins": 4096, "max_length": 4096}
    make_corpus(params_for(tmp_path / "cells.h5ad", tmp_path / "store", **counts))
    store = TokenStore.open(tmp_path / "store")
    found = store.gather(np.arange(len(store)))
    ids = np.array(store.tokenizer.vocabulary.ids)[found.gene_rows]
    shape = (found.bins, cells.var_names.get_indexer(ids), found.offsets)
    assert cells.X.max() > 20
    assert np.array_equal(sparse.csr_matrix(shape, cells.shape).toarray(), cells.X.toarray())


@pytest.mark.slow
def test_labels_become_terms_of_the_cell_ontology_with_all_above(tmp_path):
    folder, labels = (
        tmp_path / "files",
        (["B cell", "CD4 T", "B cell", "nobody knows"], ["T cells"]),
    )
    folder.mkdir()
    for number, (column, found) in enumerate(zip(("type", "author_type"), labels, strict=True)):
        cells = simulate_cells(cells=len(found) + 1, seed=number)
        cells.obs[column] = [*found, np.nan]
        if number == 0:  # the first of the columns that a file has
            cells.obs["author_type"] = "T cell"
        cells.write_h5ad(folder / f"{number}.h5ad")
    simulate_cells(cells=2, seed=3).write_h5ad(folder / "2.h5ad")  # has neither
    make_corpus(params_for(folder, tmp_path / "store", label_columns=("type", "author_type")))
    told = TokenStore.open(tmp_path / "store").obs()[TYPES].tolist()
    b, cd4, t = "CL:0000236", "CL:0000624", "CL:0000084"
    assert [line.split(" ")[0] for line in told] == [b, cd4, b, "", "", t, "", "", ""]
    ontology = load_cell_ontology()
    for line in filter(None, told):
        own, *above = line.split(" ")
        assert {own, *above} == ontology.ancestors(own) and own not in above
    assert t in told[1].split(" ") and t not in told[0].split(" ")


def test_bins_that_would_cut_counts_are_refused():
    with pytest.raises(ValidationError, match="would cut counts at 50: set n_bins to 256 or more"):
        CorpusParams(bins="counts")
    assert CorpusParams(bins="counts", n_bins=4096).n_bins == 4096


@pytest.mark.slow
def test_a_token_store_as_the_source_is_taken_as_it_is(files, tmp_path):
    made = make_corpus(params_for(files, tmp_path / "store"))["store"]
    params = params_for(tmp_path / "store", tmp_path / "none")
    found = make_corpus(params)
    assert found["store"] == made | {"folder": str(tmp_path / "store")}
    again, store = corpus.sample_corpus(params, tmp_path / "probe", 10)
    assert again == found and store == tmp_path / "store"
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["store"]
