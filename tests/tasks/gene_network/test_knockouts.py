"""Knock-outs against a cell-by-cell twin; what is specific; what correlation and ranks are."""

import numpy as np
import pandas as pd
import pytest
import torch
from sc_mamba2.tasks.gene_network.embeddings import cosines, untrained_like
from scipy import sparse, stats

from sc_mamba2.genes import Vocabulary
from sc_mamba2.model import Backbone, Heads, PretrainedModel, preset
from sc_mamba2.tasks.gene_network.baselines import boosted_importances, pearson, spearman
from sc_mamba2.tasks.gene_network.knockouts import knock_out, specific
from sc_mamba2.tasks.gene_network.scores import mean_rank
from sc_mamba2.tokens import Tokenizer, TokenizerRules

GENES = 8


@pytest.fixture(scope="module")
def model() -> PretrainedModel:
    torch.manual_seed(0)
    names = tuple(f"ENSG{at:011d}" for at in range(GENES))
    vocabulary = Vocabulary("small", ("<pad>", "<cls>", *names), ("<pad>", "<cls>", *names))
    config = preset("micro", vocabulary.size, pad_id=0, n_bins=11, dropout=0.0)
    tokenizer = Tokenizer(vocabulary, TokenizerRules(n_bins=11, max_length=64))
    return PretrainedModel(Backbone(config), tokenizer, Heads()).double().eval()


@pytest.fixture(scope="module")
def tokens(model):
    generator = np.random.default_rng(0)
    matrix = generator.gamma(1, 1, (9, GENES)) * (generator.random((9, GENES)) < 0.6)
    matrix[:, 7] = 0
    ids = np.array(model.tokenizer.vocabulary.ids[2:])
    return model.tokenizer.tokenize(sparse.csr_matrix(matrix), ids, pd.DataFrame(index=range(9)))


def slow_changes(model, tokens, row: int, targets: list[int]) -> np.ndarray:
    """One cell at a time: the decoded targets with the gene minus without it."""
    changes = []
    for at in range(len(tokens)):
        cell = tokens.take(np.array([at]))
        if row not in cell.gene_rows:
            continue
        told = []
        for kept in (np.ones(len(cell.gene_rows), bool), cell.gene_rows != row):
            ids = torch.tensor([[1, *cell.gene_rows[kept].tolist()]])
            bins = torch.tensor([[0.0, *cell.bins[kept].tolist()]], dtype=torch.float64)
            with torch.no_grad():
                hidden = model.backbone(ids, bins, torch.tensor([ids.shape[1]]))
                genes = model.backbone.gene_encoder(torch.tensor([targets]))
                told.append(model.cell_expression_decoder(hidden[:, 0], genes).value[0].numpy())
        changes.append(told[0] - told[1])
    return np.array(changes)


def test_knock_outs_are_those_of_single_cells(model, tokens):
    targets = [2, 4, 5, 6]
    rows = [3, 9, 5]  # no cell expresses the second
    found = knock_out(model, tokens, np.array(rows), np.array(targets), 100, 4)
    for at in (0, 2):
        changes = slow_changes(model, tokens, rows[at], targets)
        assert found.cells_R[at] == len(changes) > 2
        np.testing.assert_allclose(found.effect_RT[at], changes.mean(axis=0), atol=1e-6)
        spread = changes.std(axis=0)
        strength = changes.mean(axis=0) / (spread + np.median(spread))
        np.testing.assert_allclose(found.strength_RT[at], strength, rtol=1e-3, atol=1e-5)
    assert not found.cells_R[1] and not found.effect_RT[1].any() and not found.specific_RT[1].any()


def test_what_all_regulators_do_alike_is_not_specific():
    shared = np.random.default_rng(0).normal(size=50)
    strength = np.outer([1.0, 2.0, -0.0, 5.0], shared)
    np.testing.assert_allclose(specific(strength), 0, atol=1e-9)
    strength[1, 7] += 20
    assert np.unravel_index(np.abs(specific(strength)).argmax(), strength.shape) == (1, 7)


def test_cosines_are_of_the_embeddings(model):
    table = model.backbone.gene_embedding.weight.detach().numpy()
    one, other = table[3], table[5]
    expected = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert cosines(model, np.array([3]), np.array([5]))[0, 0] == pytest.approx(expected)


def test_the_untrained_model_is_another_and_follows_the_seed(model):
    weights = [
        untrained_like(model, seed).backbone.gene_embedding.weight.detach().numpy()
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(weights[0], weights[1])
    assert not np.allclose(weights[0], weights[2])


def test_correlations_are_those_of_scipy():
    generator = np.random.default_rng(1)
    x, y = generator.poisson(1, (30, 3)).astype(float), generator.normal(size=(30, 2))
    x[:, 2] = 1
    for own, theirs in ((pearson, stats.pearsonr), (spearman, stats.spearmanr)):
        found = own(x, y)
        assert found[0, 1] == pytest.approx(theirs(x[:, 0], y[:, 1])[0])
        assert not found[2].any()


def test_boosting_finds_who_drives_a_target():
    x = np.random.default_rng(2).normal(size=(80, 4))
    y = np.stack([3 * x[:, 2], -2 * x[:, 0]], axis=1)
    found = boosted_importances(x, y, np.ones((4, 2), bool), 30, 0)
    assert found.argmax(axis=0).tolist() == [2, 0]


def test_ranks_are_from_worst_to_best_and_of_pairs_only():
    pairs = np.array([[False, True, True], [True, True, True]])
    part = np.array([[9.0, 1, 2], [3, 4, 5]])
    found = mean_rank([part, 2 * part], pairs)
    np.testing.assert_allclose(found, [[0, 0, 0.25], [0.5, 0.75, 1]])
