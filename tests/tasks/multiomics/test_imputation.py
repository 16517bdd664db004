import numpy as np
import pytest
import torch
from sc_mamba2.tasks.multiomics.fitting import complete
from scipy import sparse
from sklearn.linear_model import Ridge
from tests.tasks.multiomics.conftest import COMPUTE, IMPUTATION

from sc_mamba2.methods.kernel_ridge import fit_imputer
from sc_mamba2.tasks.multiomics.params import ImputationParams
from sc_mamba2.tasks.shared.backbone import predict
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.tokens import as_matrix


def data(seed=0, cells=60):
    generator = np.random.default_rng(seed)
    values = sparse.csr_matrix(
        generator.random((cells, 20)) * (generator.random((cells, 20)) < 0.5)
    )
    numbers = generator.normal(size=(cells, 4))
    weights = generator.normal(size=(20, 3))
    target = values @ weights + np.sin(2 * numbers[:, :1]) + 0.1 * generator.normal(size=(cells, 3))
    return values, numbers, np.asarray(target)


def test_without_the_kernel_it_is_ridge_regression():
    values, numbers, target = data()
    params = ImputationParams(shares=(0.0,), strengths=(0.5,), folds=3)
    found = fit_imputer(values, [numbers], target, params, 0)
    dense = values.toarray()
    centred = dense - dense.mean(axis=0)
    size = (centred**2).sum() / len(dense)
    expected = Ridge(alpha=0.5 * size).fit(dense, target)
    np.testing.assert_allclose(found.readout_SP, expected.coef_.T, atol=1e-8)
    np.testing.assert_allclose(found.bias_P, expected.intercept_, atol=1e-8)
    assert not found.weight_NP.any() and found.share == 0


def test_the_kernel_is_taken_where_it_tells_more():
    values, numbers, target = data(cells=200)
    curved = fit_imputer(values, [numbers], target, ImputationParams(shares=(0.0, 0.5, 1.0)), 0)
    ridge = fit_imputer(values, [numbers], target, ImputationParams(shares=(0.0,)), 0)
    assert curved.share > 0 and curved.error < ridge.error
    told = curved.bias_P + values @ curved.readout_SP
    told += np.exp(-curved.curvature * plain_squares(numbers * curved.scale_F)) @ curved.weight_NP
    assert np.corrcoef(told[:, 0], target[:, 0])[0, 1] > 0.97


def plain_squares(numbers):
    return ((numbers[:, None] - numbers[None]) ** 2).sum(axis=2)


def test_strengths_are_chosen_for_each_feature():
    values, numbers, target = data(cells=150)
    noise = np.random.default_rng(1).normal(size=(150, 1))
    both = np.hstack([target[:, :1], noise])
    params = ImputationParams(shares=(0.0,), strengths=(0.01, 100.0))
    found = fit_imputer(values, [numbers], both, params, 0)
    assert np.abs(found.readout_SP[:, 1]).max() < 0.05 < np.abs(found.readout_SP[:, 0]).max()


@pytest.fixture(scope="module")
def completed(parts):
    model = parts.model()
    return complete(model, parts.training, parts.validation, IMPUTATION, PredictParams(), COMPUTE)


def test_a_model_tells_what_was_hidden_and_how_far_it_errs(parts, completed):
    out = predict(completed, parts.tokens, PredictParams(), COMPUTE)
    values = as_matrix(parts.tokens, parts.tokenizer.vocabulary.size)
    rows = completed.rows_of("protein").numpy()
    actual = values[:, rows].toarray()
    part = parts.tokens.obs["part"].to_numpy()
    judged = (part == "validation") & parts.tokens.obs["has_protein"].to_numpy(bool)
    expected = np.sqrt(((out["imputed_protein"] - actual)[judged] ** 2).mean(axis=0))
    np.testing.assert_allclose(completed.error_V[rows], expected, rtol=1e-3)
    held_out = (part == "held_out") & parts.tokens.obs["has_protein"].to_numpy(bool)
    told = out["imputed_protein"][held_out]
    alike = [np.corrcoef(told[:, p], actual[held_out, p])[0, 1] for p in range(len(rows))]
    assert np.mean(alike) > 0.7


def test_what_a_cell_lacks_is_nan_and_what_it_can_be_told_is_there(parts, completed):
    out = predict(completed, parts.tokens, PredictParams(), COMPUTE)
    lacking = ~parts.tokens.obs["has_protein"].to_numpy(bool)
    assert np.isfinite(out["joint"]).all() and np.isfinite(out["imputed_protein"]).all()
    assert np.isnan(out["embedding_protein"][lacking]).all()
    assert np.isnan(out["imputed_rna"][lacking]).all()
    assert np.isfinite(out["embedding_protein"][~lacking]).all()


def test_what_is_told_has_not_seen_what_it_tells(parts, completed):
    changed = parts.tokens
    kinds = completed.kind_V.numpy()[changed.gene_rows]
    values = np.where(kinds == 2, np.float32(1.234), changed.values)
    from dataclasses import replace

    before = predict(completed, parts.tokens, PredictParams(), COMPUTE)
    after = predict(completed, replace(changed, values=values), PredictParams(), COMPUTE)
    assert np.array_equal(before["imputed_protein"], after["imputed_protein"])
    assert not np.allclose(before["joint"], after["joint"])
    assert torch.is_tensor(completed.error_V)
