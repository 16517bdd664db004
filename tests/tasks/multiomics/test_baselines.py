import numpy as np
import pytest
from sc_mamba2.tasks.multiomics.design import scored_cells
from sc_mamba2.tasks.multiomics.shuffling import shuffle_modality
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV

from sc_mamba2.tasks.multiomics.baselines import (
    baseline_embeddings,
    modality_values,
    told_by_ridge,
)
from sc_mamba2.tasks.multiomics.params import BaselineParams
from sc_mamba2.tokens import as_matrix, kinds_of

PARAMS = BaselineParams(components=4)


def test_principal_components_are_fitted_without_the_scored_cells(whole):
    values = modality_values(whole.tokens, whole.tokenizer)
    found = baseline_embeddings(values, whole.tokens.obs, PARAMS, 0)
    assert list(found) == ["pca_rna", "pca_protein", "concatenated_pca"]
    fitted = ~scored_cells(whole.tokens.obs)
    dense = values["protein"].toarray()
    expected = PCA(4).fit(dense[fitted]).transform(dense)
    expected /= np.sqrt((expected[fitted] ** 2).sum(axis=1).mean())
    np.testing.assert_allclose(np.abs(found["pca_protein"]), np.abs(expected), atol=1e-3)
    assert found["concatenated_pca"].shape == (120, 8)


def test_batches_bring_harmony_and_what_is_lacking_is_the_mean(parts):
    values = modality_values(parts.tokens, parts.tokenizer)
    found = baseline_embeddings(values, parts.tokens.obs, PARAMS, 0)
    assert "harmony" in found
    lacking = ~parts.tokens.obs["has_protein"].to_numpy(bool)
    assert not found["pca_protein"][lacking].any()


@pytest.mark.parametrize("cells", [None, 40])
def test_ridge_is_that_of_scikit_learn(whole, cells):
    tokens = whole.tokens if cells is None else whole.tokens.take(np.arange(120)[::3])
    values = modality_values(tokens, whole.tokenizer)
    found = told_by_ridge(values, tokens.obs, PARAMS, 0)["protein"]
    fitted = ~scored_cells(tokens.obs)
    dense, target = values["rna"].toarray(), values["protein"].toarray()
    ridge = RidgeCV(np.asarray(PARAMS.regularisation), alpha_per_target=True)
    expected = ridge.fit(dense[fitted], target[fitted]).predict(dense)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_shuffled_proteins_are_those_of_other_cells_and_the_rna_stays(parts):
    kinds = kinds_of(parts.tokenizer.vocabulary)
    moved = shuffle_modality(parts.tokens, "protein", kinds, 0)
    before, after = (as_matrix(tokens, len(kinds)).toarray() for tokens in (parts.tokens, moved))
    rna, protein = kinds == 1, kinds == 2
    assert (before[:, rna] == after[:, rna]).all()
    have = parts.tokens.obs["has_protein"].to_numpy(bool)
    assert not after[~have][:, protein].any()
    assert not (before[have][:, protein] == after[have][:, protein]).all()
    assert sorted(map(tuple, before[:, protein])) == sorted(map(tuple, after[:, protein]))
