from dataclasses import replace

import numpy as np
import pytest
from tests.tasks.multiomics.conftest import COMPUTE, IMPUTATION

from sc_mamba2.tasks.multiomics.fit import fit_imputers
from sc_mamba2.tasks.shared.backbone import predict
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.tokens import as_matrix


@pytest.fixture(scope="module")
def completed(parts):
    model = parts.model()
    before = parts.training.obs.copy()
    tokens = (parts.training, parts.validation)
    fitted = fit_imputers(model, *tokens, IMPUTATION, PredictParams(), COMPUTE)
    assert not model.imputers and parts.training.obs.equals(before), "an input was changed"
    return fitted


def test_a_model_imputes_what_was_hidden_and_knows_how_far_it_errs(parts, completed):
    out = predict(completed, parts.tokens, PredictParams(), COMPUTE)
    values = as_matrix(parts.tokens, parts.vocabulary.size)
    rows = completed.rows_of("protein").numpy()
    actual = values[:, rows].toarray()
    part = parts.tokens.obs["part"].to_numpy()
    scored = (part == "validation") & parts.tokens.obs["has_protein"].to_numpy(bool)
    expected = np.sqrt(((out["imputed_protein"] - actual)[scored] ** 2).mean(axis=0))
    np.testing.assert_allclose(completed.error_V[rows], expected, rtol=1e-3)
    held_out = (part == "held_out") & parts.tokens.obs["has_protein"].to_numpy(bool)
    imputed = out["imputed_protein"][held_out]
    alike = [np.corrcoef(imputed[:, p], actual[held_out, p])[0, 1] for p in range(len(rows))]
    assert np.mean(alike) > 0.7


def test_what_a_cell_lacks_is_nan_and_what_can_be_imputed_is_there(parts, completed):
    out = predict(completed, parts.tokens, PredictParams(), COMPUTE)
    lacking = ~parts.tokens.obs["has_protein"].to_numpy(bool)
    assert np.isfinite(out["joint"]).all() and np.isfinite(out["imputed_protein"]).all()
    assert np.isnan(out["embedding_protein"][lacking]).all()
    assert np.isnan(out["imputed_rna"][lacking]).all()
    assert np.isfinite(out["embedding_protein"][~lacking]).all()


def test_an_imputation_has_not_seen_what_it_imputes(parts, completed):
    changed = parts.tokens
    kinds = completed.kind_V.numpy()[changed.gene_rows]
    values = np.where(kinds == 2, np.float32(1.234), changed.values)
    before = predict(completed, parts.tokens, PredictParams(), COMPUTE)
    after = predict(completed, replace(changed, values=values), PredictParams(), COMPUTE)
    assert np.array_equal(before["imputed_protein"], after["imputed_protein"])
    assert not np.allclose(before["joint"], after["joint"])
