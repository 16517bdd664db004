"""Heads that are fitted at once, and the calibration of what was trained."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sc_mamba2.cells import simulate_cells, standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.tasks.annotation.annotator import LABEL
from sc_mamba2.tasks.annotation.fit import attach_head, calibrate, split_validation
from sc_mamba2.tasks.annotation.params import CallParams, HeadParams, LabelParams
from sc_mamba2.tasks.annotation.split import hold_out
from sc_mamba2.tasks.shared.backbone import fine_tune, load_or_build_backbone, predict
from sc_mamba2.tasks.shared.params import (
    BackboneParams,
    FineTuneParams,
    PredictParams,
    TokenizationParams,
)
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer, tokenize_cells
from sc_mamba2.training import ComputeOptions

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
