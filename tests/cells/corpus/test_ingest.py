"""A corpus is the same whatever the workers; bad files stop it or are left out and told of."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from tests.cells.corpus.consumers import names_of, save_names

from sc_mamba2.cells import read_cells, standardise
from sc_mamba2.cells.corpus import (
    CorpusFile,
    CorpusFilters,
    ReadingRules,
    ingest_corpus,
    list_sources,
)
from sc_mamba2.errors import UserError

RULES = ReadingRules(cells_a_block=7)


@pytest.fixture(scope="module")
def report(corpus) -> dict:
    return ingest_corpus(list_sources(corpus), RULES, names_of)


def rules(**filters) -> ReadingRules:
    return ReadingRules(CorpusFilters(**filters), cells_a_block=7)


def test_every_cell_comes_once_in_the_order_of_the_files(report):
    a, b, c = (file["result"] for file in report["files"])
    assert [a["number"], b["number"], c["number"]] == [0, 1, 2]
    assert a["names"] == [f"study1_{number}" for number in range(28)]
    assert b["names"] == [f"study2_{number}" for number in range(30)]
    assert c["names"] == [f"study3_{number}" for number in range(30)]


def test_the_report_adds_up(report):
    json.dumps(report)
    assert report["total"] == {
        "files": 3,
        "bad_files": 0,
        "cells": 95,
        "kept": 88,
        "dropped": {"is_primary_data": 2, "few_genes": 0, "duplicate": 5},
    }
    for file in report["files"]:
        assert file["cells"] == file["kept"] + sum(file["dropped"].values())
        assert len(file["result"]["names"]) == file["kept"]
        assert file["genes"]["matched"] == 80 and file["error"] is None
    assert [file["expression"]["origin"] for file in report["files"]] == [
        *("X", "X", "layers[counts]")
    ]
    assert report["files"][2]["columns_absent"] == ["is_primary_data"]


def test_values_are_those_of_the_whole_file(corpus, report, table):
    whole, _ = standardise(read_cells(corpus / "a.h5ad"), table)
    expected = whole[:28].X.sum(dtype=np.float64)
    assert report["files"][0]["result"]["sum"] == pytest.approx(expected)


def test_filters(corpus):
    report = ingest_corpus(
        list_sources(corpus), rules(tissue=("blood",), disease=("normal",)), names_of
    )
    first, _, loom = report["files"]
    kept = [n for n in range(28) if n % 2 == 0 and n % 3 < 2]
    assert first["result"]["names"] == [f"study1_{n}" for n in kept]
    assert first["dropped"] == {
        "is_primary_data": 2, "tissue": 14, "disease": 14 - len(kept), "few_genes": 0, "duplicate": 0
    }  # fmt: skip
    assert loom["kept"] == 0 and loom["result"] is None
    assert loom["columns_absent"] == ["is_primary_data", "tissue", "disease"]


def test_cells_with_few_genes(corpus, table):
    whole, _ = standardise(read_cells(corpus / "a.h5ad"), table)
    genes = np.diff(whole.X.indptr)[:28]
    limit = int(np.median(genes))
    report = ingest_corpus([str(corpus / "a.h5ad")], rules(minimum_genes=limit), names_of)
    assert report["files"][0]["dropped"]["few_genes"] == (genes < limit).sum() > 0
    assert report["files"][0]["kept"] == (genes >= limit).sum()


def test_a_block_of_any_size_changes_nothing(corpus, report):
    other = ingest_corpus(list_sources(corpus), ReadingRules(cells_a_block=1000), names_of)
    for one, two in zip(report["files"], other["files"], strict=True):
        assert one["result"]["sum"] == pytest.approx(two["result"]["sum"], rel=1e-12)
        assert one["result"]["names"] == two["result"]["names"]
        assert {**one, "result": 0} == {**two, "result": 0}


def test_a_consumer_writes_under_the_number_of_the_file(corpus, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    ingest_corpus(list_sources(corpus), RULES, partial(save_names, out))
    assert [path.name for path in sorted(out.iterdir())] == [f"0000{n}.txt" for n in range(3)]


@pytest.fixture
def with_bad_files(folder) -> Path:
    """A truncated file before the good ones, a mouse behind them."""
    (folder / "0.h5ad").write_bytes((folder / "a.h5ad").read_bytes()[:3000])
    mouse = read_cells(folder / "a.h5ad")
    del mouse.var["symbol"]
    mouse.var_names = [f"Gm{number}" for number in range(80)]
    mouse.write_h5ad(folder / "z.h5ad")
    return folder


@pytest.mark.slow
def test_workers_change_nothing(with_bad_files):
    sources = list_sources(with_bad_files)
    alone, together = (
        ingest_corpus(sources, RULES, names_of, on_bad_file="skip", workers=workers)
        for workers in (1, 2)
    )
    assert alone == together and alone["total"]["kept"] == 88


def test_the_first_bad_file_stops_all(with_bad_files, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(UserError) as caught:
        ingest_corpus(list_sources(with_bad_files), RULES, partial(save_names, out))
    assert caught.value.rule == "file-damaged" and "0.h5ad" in caught.value.found
    assert not list(out.iterdir())


def test_bad_files_are_skipped_and_told_of(report, with_bad_files):
    skipped = ingest_corpus(list_sources(with_bad_files), RULES, names_of, on_bad_file="skip")
    bad = {Path(f["source"]).name: f["error"]["rule"] for f in skipped["files"] if f["error"]}
    assert bad == {"0.h5ad": "file-damaged", "z.h5ad": "genes-unmatched"}
    assert skipped["total"] == report["total"] | {"files": 5, "bad_files": 2}
    good = [file["result"]["names"] for file in skipped["files"] if not file["error"]]
    assert good == [file["result"]["names"] for file in report["files"]]


def test_too_few_known_genes(folder):
    cells = read_cells(folder / "a.h5ad")
    del cells.var["symbol"]
    cells.var_names = [*cells.var_names[:60], *(f"nothing{number}" for number in range(20))]
    cells.write_h5ad(folder / "a.h5ad")
    source = [str(folder / "a.h5ad")]
    assert ingest_corpus(source, rules(minimum_matched_share=0.7), names_of)["total"]["kept"] == 28
    with pytest.raises(UserError) as caught:
        ingest_corpus(source, rules(minimum_matched_share=0.8), names_of)
    assert caught.value.rule == "genes-matched"


def test_nothing_kept_tells_why(corpus):
    with pytest.raises(UserError) as caught:
        ingest_corpus(list_sources(corpus), rules(tissue=("Blood",)), names_of)
    assert caught.value.rule == "corpus-nothing-kept" and "by tissue" in caught.value.found


def replace_source(file: CorpusFile) -> None:
    read_cells(file.source)[:10].copy().write_h5ad(file.source)
    list(file.blocks())


def test_a_file_that_changes_between_the_passes(folder):
    with pytest.raises(UserError) as caught:
        ingest_corpus([str(folder / "a.h5ad")], RULES, replace_source)
    assert caught.value.rule == "file-changed"


@pytest.mark.parametrize("word", ["protein", "Antibody Capture", "HTO", "Peaks", "sgRNA"])
def test_features_that_are_no_genes_are_left_out_of_a_corpus(word, folder):
    cells = read_cells(folder / "a.h5ad")
    cells.var["feature_types"] = ["rna"] * 70 + [word] * 10
    cells.write_h5ad(folder / "a.h5ad")
    found = ingest_corpus([str(folder / "a.h5ad")], RULES, names_of)
    cells[:, :70].copy().write_h5ad(folder / "b.h5ad")
    alone = ingest_corpus([str(folder / "b.h5ad")], RULES, names_of)
    assert found["files"][0]["result"] == alone["files"][0]["result"]
    assert sum(found["files"][0]["set_aside"].values()) == 10


def test_a_file_of_antibodies_is_a_bad_file_of_a_corpus(folder):
    cells = read_cells(folder / "a.h5ad")
    cells.var["feature_types"] = "antibody capture"
    cells.write_h5ad(folder / "a.h5ad")
    with pytest.raises(UserError) as caught:
        ingest_corpus([str(folder / "a.h5ad")], RULES, names_of)
    assert caught.value.rule == "features-no-gene" and "a.h5ad" in caught.value.found
