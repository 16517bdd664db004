"""The one way from an AnnData to what a backbone reads, and what is refused beside it."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.checkpoints import write_random_checkpoint

import sc_mamba2 as scm
from sc_mamba2 import tl
from sc_mamba2.cells import simulate_cells
from sc_mamba2.errors import UserError
from sc_mamba2.tokens import make_batch


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_random_checkpoint(tmp_path_factory.mktemp("model") / "checkpoint")


@pytest.fixture(scope="module")
def model(folder):
    return scm.from_pretrained(folder)


@pytest.fixture(scope="module")
def batch(model):
    return scm.Tokenizer.of(model)(simulate_cells(cells=6))


def test_a_model_and_its_backbone_read_what_the_tokenizer_gives(model, batch):
    cells = simulate_cells(cells=6)
    outputs = model(**batch)
    assert torch.equal(model.backbone(**batch), outputs.hidden_BLD)
    assert torch.equal(model.backbone.encode(**batch), outputs.cell_BD)
    assert batch["lengths"].max() == batch["bins_BL"].shape[1] == batch["token_ids_BL"].shape[1]
    bins = batch["bins_BL"][batch["token_ids_BL"] != model.tokenizer.vocabulary.pad_id]
    assert torch.equal(bins, bins.round()) and 0 <= bins.min() <= bins.max() <= 50
    assert np.array_equal(batch["lengths"] - 1, np.diff(cells.X.tocsr().indptr))


def test_a_loaded_model_has_the_tokenizer_and_its_shape_at_hand(model, batch):
    cells = simulate_cells(cells=6)
    given = model.tokenizer(cells)
    assert given.keys() == batch.keys() and all(torch.equal(given[n], batch[n]) for n in batch)
    outputs = model(*given.values())
    assert torch.equal(outputs.cell_BD, model(**batch).cell_BD)
    assert model.config is model.backbone.config and outputs.cell_BD.shape == (
        6,
        model.config.d_model,
    )


def test_it_gives_the_vectors_of_the_verb(folder, model, batch):
    cells = simulate_cells(cells=6)
    tl.embed(cells, checkpoint=folder)
    with torch.no_grad():
        np.testing.assert_allclose(model(**batch).cell_BD, cells.obsm["X_scm"], atol=1e-5)


def test_a_name_a_folder_and_a_model_mean_the_same(folder, model, batch):
    for meant in (folder, str(folder), model):
        again = scm.Tokenizer.of(meant)(simulate_cells(cells=6))
        assert all(torch.equal(again[name], batch[name]) for name in batch)


def test_batches_are_the_cells_in_their_order(model, batch):
    parts = list(scm.Tokenizer.of(model).batches(simulate_cells(cells=6), batch_size=4))
    assert [len(part["lengths"]) for part in parts] == [4, 2]
    assert torch.equal(torch.cat([part["lengths"] for part in parts]), batch["lengths"])


def test_the_cells_stay_as_they_are(model):
    cells = simulate_cells(cells=6)
    before = cells.copy()
    scm.Tokenizer.of(model)(cells)
    assert (cells.X != before.X).nnz == 0 and list(cells.obs) == list(before.obs)


@pytest.mark.parametrize("given", [np.ones((2, 3)), "cells.h5ad", None, [1, 2]])
def test_what_is_no_anndata_is_refused(model, given):
    with pytest.raises(UserError, match="cells-kind"):
        scm.Tokenizer.of(model)(given)


@pytest.mark.parametrize(
    ("change", "value"),
    {
        "log-normalised values": ("bins_BL", lambda x: torch.log1p(x.clamp(min=0))),
        "a value with decimals": ("bins_BL", lambda x: x + 0.25),
        "counts beyond the bins": ("bins_BL", lambda x: x.clamp(min=0) * 40),
        "the last bin plus one": ("bins_BL", lambda x: torch.full_like(x, 51)),
        "below the hidden bin": ("bins_BL", lambda x: torch.full_like(x, -2)),
        "NaN": ("bins_BL", lambda x: torch.full_like(x, float("nan"))),
        "infinite": ("bins_BL", lambda x: torch.full_like(x, float("inf"))),
        "true and false": ("bins_BL", lambda x: x > 0),
        "other shape of bins": ("bins_BL", lambda x: x[:, :-1]),
        "bins of one cell": ("bins_BL", lambda x: x[:1]),
        "flat bins": ("bins_BL", lambda x: x.flatten()),
        "lengths of fewer cells": ("lengths", lambda x: x[:-1]),
        "lengths beyond the row": ("lengths", lambda x: x + 1000),
        "negative lengths": ("lengths", lambda x: -x),
    }.values(),
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("part", ["model", "backbone"])
def test_what_would_be_misread_is_refused(model, batch, part, change, value):
    wrong = batch | {change: value(batch[change])}
    read = model if part == "model" else model.backbone
    for mode in (read.train, read.eval):
        mode()
        with pytest.raises(UserError, match=r"token-(bins|ids)"):
            read(**wrong)


def test_lengths_that_are_not_those_of_the_pads_are_refused(model, batch):
    shorter = batch | {"lengths": batch["lengths"] - 1}
    with pytest.raises(UserError, match=r"token-ids.*pads left out"):
        model(**shorter)
    with pytest.raises(UserError, match=r"token-ids.*whole numbers"):
        model(**batch | {"token_ids_BL": batch["token_ids_BL"].float()})


def test_expression_in_the_place_of_bins_does_not_train(model):
    """The trap: of a `Batch`, `values_BL` are for heads that read expression."""
    tokenizer = model.tokenizer
    cells = simulate_cells(cells=6)
    cells.X.data = np.log1p(cells.X.data).astype(np.float32)
    tokens = tokenizer.tokenize(cells.X.tocsr(), cells.var_names.to_numpy(), cells.obs)
    made = make_batch(tokens, np.arange(6), tokenizer.vocabulary)
    model.backbone(made.token_ids_BL, made.bins_BL, made.lengths_B)
    with pytest.raises(UserError, match=r"token-bins.*Tokenizer\.of\(model\).*bins_BL"):
        model.backbone(made.token_ids_BL, made.values_BL, made.lengths_B)
    hidden = replace(made, bins_BL=made.bins_BL.masked_fill(made.bins_BL == 3, -1))
    model.backbone(hidden.token_ids_BL, hidden.bins_BL, hidden.lengths_B)


def test_the_tokenizer_of_tokens_says_who_reads_an_anndata(model):
    cells = simulate_cells(cells=6)
    with pytest.raises(TypeError, match=r"sc_mamba2\.Tokenizer"):
        model.tokenizer.tokenize(cells, cells.var_names.to_numpy(), cells.obs)


def test_the_lines_of_the_page_run(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[1] / "docs/python.md").read_text("utf-8")
    (block,) = re.findall(r"```python\nmodel = scm\.from_pretrained[^\n]*\n([^`]*)```", page)
    names = {"scm": scm, "model": model, "adata": simulate_cells(cells=6)}
    exec(block, names)
    assert names["vectors"].shape == (6, 64)
    assert scm.from_pretrained("./FOLDER").config == model.config
