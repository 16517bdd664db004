from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from tests.tasks.multiomics.conftest import COMPUTE, IMPUTATION

from sc_mamba2.tasks.multiomics import baselines
from sc_mamba2.tasks.multiomics.baselines import (
    baseline_embeddings,
    match_by_ridge,
    predict_by_ridge,
    totalvi_embedding,
    train_variant,
)
from sc_mamba2.tasks.multiomics.cells import scored_cells
from sc_mamba2.tasks.multiomics.params import BaselineParams, JointFitParams
from sc_mamba2.tasks.multiomics.tokens import modality_values, shuffle_modality
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.tokens import as_matrix, kinds_of

PARAMS = BaselineParams(components=4)


def test_principal_components_are_fitted_without_the_scored_cells(whole):
    values = modality_values(whole.tokens, whole.vocabulary)
    result = baseline_embeddings(values, whole.tokens.obs, PARAMS, 0)
    names = ["pca_rna", "pca_protein", "concatenated_pca", "weighted_neighbours"]
    assert list(result) == names
    assert (result["weighted_neighbours"] ** 2).sum(axis=1) == pytest.approx(1, abs=1e-4)
    fitted = ~scored_cells(whole.tokens.obs)
    dense = values["protein"].toarray()
    expected = PCA(4).fit(dense[fitted]).transform(dense)
    expected /= np.sqrt((expected[fitted] ** 2).sum(axis=1).mean())
    np.testing.assert_allclose(np.abs(result["pca_protein"]), np.abs(expected), atol=1e-3)
    assert result["concatenated_pca"].shape == (120, 8)


def test_batches_bring_harmony_and_what_is_lacking_is_the_mean(parts):
    values = modality_values(parts.tokens, parts.vocabulary)
    result = baseline_embeddings(values, parts.tokens.obs, PARAMS, 0)
    assert "harmony" in result
    lacking = ~parts.tokens.obs["has_protein"].to_numpy(bool)
    assert not result["pca_protein"][lacking].any()
    alone = result["pca_rna"] / np.linalg.norm(result["pca_rna"], axis=1, keepdims=True)
    np.testing.assert_allclose(
        result["weighted_neighbours"][lacking, :4], alone[lacking], atol=1e-4
    )


def test_modalities_are_matched_by_ridge_from_components_of_cells_that_are_not_scored(parts):
    values, design = modality_values(parts.tokens, parts.vocabulary), parts.tokens.obs
    rna, told = match_by_ridge(values, design, PARAMS, 0)["protein"]
    lacking = ~design["has_protein"].to_numpy(bool)
    assert np.isnan(told[lacking]).all() and np.isfinite(told[~lacking]).all()
    assert rna.shape == told.shape and np.isfinite(rna[design["has_rna"].to_numpy(bool)]).all()
    changed = dict(values)
    changed["rna"] = values["rna"].copy()
    scored = np.flatnonzero(scored_cells(design))
    changed["rna"][scored] = 0
    again = match_by_ridge(changed, design, PARAMS, 0)["protein"][1]
    np.testing.assert_allclose(again[~lacking], told[~lacking], atol=1e-3)


@pytest.mark.parametrize("cells", [None, 40])
def test_ridge_is_that_of_scikit_learn(whole, cells):
    tokens = whole.tokens if cells is None else whole.tokens.take(np.arange(120)[::3])
    values = modality_values(tokens, whole.vocabulary)
    result = predict_by_ridge(values, tokens.obs, PARAMS, 0)["protein"]
    fitted = ~scored_cells(tokens.obs)
    dense, target = values["rna"].toarray(), values["protein"].toarray()
    ridge = RidgeCV(np.asarray(PARAMS.regularisation), alpha_per_target=True)
    expected = ridge.fit(dense[fitted], target[fitted]).predict(dense)
    np.testing.assert_allclose(result, expected, atol=1e-3)


def test_shuffled_proteins_are_those_of_other_cells_and_the_rna_stays(parts):
    kinds = kinds_of(parts.vocabulary)
    moved = shuffle_modality(parts.tokens, "protein", parts.vocabulary, 0)
    before, after = (as_matrix(tokens, len(kinds)).toarray() for tokens in (parts.tokens, moved))
    rna, protein = kinds == 1, kinds == 2
    assert (before[:, rna] == after[:, rna]).all()
    have = parts.tokens.obs["has_protein"].to_numpy(bool)
    assert not after[~have][:, protein].any()
    assert not (before[have][:, protein] == after[have][:, protein]).all()
    assert sorted(map(tuple, before[:, protein])) == sorted(map(tuple, after[:, protein]))


@pytest.mark.parametrize("name", ["start_alone", "trunk_states", "trunk_alone", "no_adversary"])
def test_a_variant_has_the_parts_that_its_name_says(parts, name):
    model = parts.model(paths=("pooled",))
    fitting = JointFitParams(max_epochs=1)
    given = (model, parts.training, parts.validation, fitting, IMPUTATION, PredictParams(), COMPUTE)
    one, again = (train_variant(name, *given) for _ in range(2))
    assert one.sha256() == again.sha256() and not model.imputers
    branches = {"trunk_states": ("trunk", "pooled"), "trunk_alone": ("trunk",)}
    assert one.head.paths == branches.get(name, ("pooled",))
    assert (one.objective.adversary == 0) == (name == "no_adversary")
    if name == "start_alone":
        assert np.array_equal(one.decoder.weight.detach(), model.decoder.weight.detach())


def genes_of(cells):
    return list(cells.modalities["rna"].var_names)


def test_the_counts_stand_beside_the_values(whole):
    rna = whole.cells.modalities["rna"]
    assert (rna.layers["counts"] != 0).nnz == rna.X.nnz
    assert set(np.unique(rna.layers["counts"].data % 1)) == {0.0}


def test_there_is_no_totalvi_where_it_cannot_run(whole, monkeypatch):
    monkeypatch.setattr(baselines, "find_spec", lambda name: None)
    cells = whole.cells
    assert totalvi_embedding(cells, genes_of(cells), whole.tokens.obs, 0) is None


@pytest.mark.slow
@pytest.mark.skipif(find_spec("scvi") is None, reason="needs the extra `scvi`: make test-extras")
def test_totalvi_embeds_every_cell(whole):
    embedding = totalvi_embedding(whole.cells, genes_of(whole.cells), whole.tokens.obs, 0)
    assert embedding.shape == (120, 20) and np.isfinite(embedding).all()
