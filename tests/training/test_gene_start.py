"""Starts from the cells: gene embeddings and the biases of the heads."""

import numpy as np
import pytest
import torch
from tests.training.corpora import write_store
from torch import nn

from sc_mamba2.model import Backbone, Heads, PretrainedModel, preset
from sc_mamba2.tokens import Ragged, TokenStore
from sc_mamba2.training.components import start_genes, start_heads


@pytest.fixture
def store(tmp_path):
    return TokenStore.open(write_store(tmp_path / "store"))


def test_a_sum_of_values_times_genes_is_a_principal_component_score(store):
    cells = store.gather(np.arange(len(store)))
    size = store.tokenizer.vocabulary.size
    matrix = np.zeros((len(store), size))
    for cell in range(len(store)):
        mine = slice(*cells.offsets[cell : cell + 2])
        matrix[cell, cells.gene_rows[mine]] = cells.values[mine]
    embedding = nn.Embedding(size, 8)
    before = embedding.weight.detach().clone()
    start_genes(embedding, cells, 0.05, seed=0)
    table = embedding.weight.detach().double().numpy()
    seen = matrix.any(axis=0)
    assert torch.equal(embedding.weight[~torch.from_numpy(seen)], before[~torch.from_numpy(seen)])
    assert abs(np.sqrt((table[seen] ** 2).mean()) - 0.05) < 1e-6
    matrix, scores = matrix[:, seen], matrix @ table
    _, vectors = np.linalg.eigh(matrix.T @ matrix)
    for column in range(8):
        best = matrix @ vectors[:, -1 - column]
        assert abs(np.corrcoef(scores[:, column], best)[0, 1]) > 1 - 1e-6


def test_heads_start_at_what_is_told_of_any_cell(store):
    cells = store.gather(np.arange(len(store)))
    tokenizer = store.tokenizer
    backbone = Backbone(
        preset("micro", tokenizer.vocabulary.size, pad_id=tokenizer.vocabulary.pad_id)
    )
    model = PretrainedModel(backbone, tokenizer, Heads(genes=True))
    start_heads(model, cells)
    shares = model.gene_decoder.bias_V.detach().exp().numpy()
    assert abs(shares.sum() - 1) < 1e-4
    counts = np.bincount(cells.gene_rows, minlength=len(shares))
    assert (np.argsort(counts, kind="stable") == np.argsort(shares, kind="stable")).all()
    assert abs(model.expression_decoder.fc[-1].bias.item() - cells.bins.mean()) < 1e-4


def test_no_cells_leave_finite_heads(store):
    tokenizer = store.tokenizer
    backbone = Backbone(
        preset("micro", tokenizer.vocabulary.size, pad_id=tokenizer.vocabulary.pad_id)
    )
    model = PretrainedModel(backbone, tokenizer, Heads(genes=True))
    nothing = np.zeros(0, dtype=np.int64)
    start_heads(model, Ragged(nothing, nothing, nothing.astype(float), np.zeros(1, dtype=np.int64)))
    assert torch.isfinite(model.gene_decoder.bias_V).all()
    assert model.expression_decoder.fc[-1].bias == 0
