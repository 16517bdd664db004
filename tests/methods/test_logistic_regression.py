"""The head as a convex problem: it is logistic regression, and a block's say is its scale."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from sc_mamba2.cells import simulate_cells, standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.methods.logistic_regression import fit_linear_head
from sc_mamba2.tasks.annotation.model import LABEL
from sc_mamba2.tasks.annotation.nodes import attach_head, calibrate, hold_out, split_validation
from sc_mamba2.tasks.annotation.params import CallParams, HeadParams, LabelParams
from sc_mamba2.tasks.shared.backbone import fine_tune, load_or_build_backbone, predict
from sc_mamba2.tasks.shared.params import (
    BackboneParams,
    FineTuneParams,
    PredictParams,
    TokenizationParams,
)
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer, tokenize_cells
from sc_mamba2.training import ComputeOptions

CHANCE = np.random.default_rng(0)
CLASSES = np.repeat([0, 1, 2], 20)
GENES = sparse.csr_matrix(
    CHANCE.gamma(0.4, 1, (60, 15)) + np.eye(3)[CLASSES] @ CHANCE.random((3, 15))
)
STATES = CHANCE.normal(size=(60, 4)) + CLASSES[:, None]


def fit(blocks, says, classes=CLASSES, n_classes=3, grid=(1.0,), folds=3):
    return fit_linear_head(blocks, says, classes, n_classes, grid, folds, 0)


def test_one_block_is_logistic_regression():
    found = fit([GENES], [1.0])
    plain = LogisticRegression(max_iter=5000, tol=1e-8, C=1.0).fit(GENES, CLASSES)
    np.testing.assert_allclose(found.logits([GENES]), plain.decision_function(GENES), atol=1e-3)


def test_two_blocks_are_one_fit_of_scaled_columns():
    say = 3.0
    factor = np.sqrt(say * GENES.toarray().var(0).sum() / STATES.var(0).sum())
    plain = LogisticRegression(max_iter=5000, tol=1e-8, C=1.0).fit(
        np.hstack([GENES.toarray(), STATES * factor]), CLASSES
    )
    found = fit([GENES, STATES], [1.0, say])
    expected = plain.predict_proba(np.hstack([GENES.toarray(), STATES * factor]))
    logits = found.logits([GENES, STATES])
    told = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(told / told.sum(1, keepdims=True), expected, atol=1e-3)


def test_fewer_cells_than_features_give_the_same_fit():
    wide = sparse.csr_matrix(CHANCE.gamma(0.4, 1, (60, 200)) * (CHANCE.random((60, 200)) < 0.5))
    plain = LogisticRegression(max_iter=5000, tol=1e-8, C=1.0).fit(wide, CLASSES)
    found = fit([wide], [1.0])
    np.testing.assert_allclose(found.logits([wide]), plain.decision_function(wide), atol=2e-3)
    np.testing.assert_allclose(found.weights[0].T, plain.coef_, atol=2e-3)


def test_a_block_that_does_not_vary_says_nothing():
    found = fit([GENES, np.ones((60, 2))], [1.0, 1.0])
    assert not found.weights[1].any()


@pytest.mark.parametrize("present", [(0, 2), (1, 2)])
def test_a_class_without_cells_is_never_called(present):
    mine = np.isin(CLASSES, present)
    found = fit([GENES[mine]], [1.0], CLASSES[mine])
    called = found.logits([GENES]).argmax(1)
    assert set(called) == set(present)
    assert (called[mine] == CLASSES[mine]).mean() > 0.8


def test_the_penalty_is_chosen_among_those_given_and_a_lone_cell_is_no_hindrance():
    assert fit([GENES], [1.0], grid=(0.01, 1.0)).strength in (0.01, 1.0)
    few = [0, 20, 40]
    assert fit([GENES[few]], [1.0], CLASSES[few], grid=(0.1, 1.0, 10.0)).strength == 1.0


COMPUTE, LABELS = ComputeOptions(), LabelParams(key="cell_type")


@pytest.fixture(scope="module")
def tokens():
    cells, _ = standardise(simulate_cells(60, 80), load_gene_table())
    training, query, _ = hold_out(cells, LABELS, COMPUTE)
    tokenizer = fit_tokenizer(training, query, TokenizationParams())
    first, second = split_validation(tokenize_cells(training, tokenizer), LABELS, COMPUTE)
    return tokenizer, first, second, tokenize_cells(query, tokenizer)


def fitted(tokens, *paths, fit="linear"):
    tokenizer, first, second, _ = tokens
    backbone = load_or_build_backbone(tokenizer, first, BackboneParams(), COMPUTE)
    head = HeadParams(paths=paths, fit=fit, regularisation=(1.0,), embedding_variance=2.0)
    model = attach_head(backbone, tokenizer, first, head, LABELS, COMPUTE)
    before = {name: part.clone() for name, part in model.backbone.state_dict().items()}
    model, history = fine_tune(model, first, second, FineTuneParams(), COMPUTE)
    assert not len(history) and "epoch" in history  # a CSV without a column cannot be read
    assert all((part == before[name]).all() for name, part in model.backbone.state_dict().items())
    return model


def test_a_linear_head_on_genes_alone_is_logistic_regression_on_all_labelled_cells(tokens):
    tokenizer, first, second, query = tokens
    model = fitted(tokens, "readout")
    dense = [np.zeros((len(part), tokenizer.vocabulary.size)) for part in (first, second, query)]
    for matrix, part in zip(dense, (first, second, query), strict=True):
        for cell in range(len(part)):
            mine = slice(*part.offsets[cell : cell + 2])
            matrix[cell, part.gene_rows[mine]] = part.values[mine]
    classes = [*first.obs[LABEL], *second.obs[LABEL]]
    plain = LogisticRegression(max_iter=5000, tol=1e-8, C=1.0).fit(np.vstack(dense[:2]), classes)
    told = predict(model, query, PredictParams(), COMPUTE)["probability"]
    np.testing.assert_allclose(told, plain.predict_proba(dense[2]), atol=1e-3)


@pytest.mark.parametrize("fit", ["linear", "prototypes"])
def test_every_path_has_its_block_and_a_saved_model_tells_the_same(tokens, fit, tmp_path):
    model = fitted(tokens, "trunk", "pooled", "readout", fit=fit)
    tables = (model.trunk_classifier.out_layer.weight, model.pooled_classifier.weight)
    assert all(table.any() for table in (*tables, model.readout_VK))
    told = predict(model, tokens[3], PredictParams(), COMPUTE)
    model.save_pretrained(tmp_path / "model")
    again = predict(
        type(model).from_pretrained(tmp_path / "model"), tokens[3], PredictParams(), COMPUTE
    )
    assert np.array_equal(told["probability"], again["probability"])


def test_the_cells_that_it_learnt_from_do_not_calibrate_it(tokens):
    model = fitted(tokens, "pooled")
    assert calibrate(model, tokens[2], CallParams(), PredictParams(), COMPUTE) is model
    assert model.calibration.cells == 0 and model.calibration.temperature == 1


def test_prototypes_and_readout_speak_by_the_mean_of_their_logits(tokens):
    parts = [fitted(tokens, path, fit="prototypes") for path in ("readout", "pooled")]
    both = fitted(tokens, "pooled", "readout", fit="prototypes")
    alone = [
        np.log(predict(model, tokens[3], PredictParams(), COMPUTE)["probability"])
        for model in parts
    ]
    told = np.exp(np.mean(alone, axis=0))
    found = predict(both, tokens[3], PredictParams(), COMPUTE)["probability"]
    np.testing.assert_allclose(found, told / told.sum(axis=1, keepdims=True), atol=1e-5)
