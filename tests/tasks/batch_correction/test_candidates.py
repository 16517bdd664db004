"""The default: Harmony by every recipe, joined; a fitted cell gets its place back, a later one a like place."""

import numpy as np

from sc_mamba2.methods.integration import RECIPES, harmony_candidates
from sc_mamba2.tasks.batch_correction.candidates import NETWORK, RESULT, combine
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.batch_correction.params import CandidateParams
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.params import FineTuneParams, PredictParams
from sc_mamba2.tokens import as_matrix
from sc_mamba2.training import ComputeOptions


def test_candidates_are_the_recipes_and_every_one_is_scored_without_labels(joined):
    made = joined.candidates
    assert set(made.embeddings) - {"scvi"} == {"pca", *RECIPES} and made.without_model is None
    assert set(made.scores) == {*made.embeddings, RESULT}
    assert set(joined.model.weights) == set(RECIPES)
    assert joined.embedding.shape == (120, 6) and np.isfinite(joined.embedding).all()
    values = as_matrix(joined.tokens, joined.model.tokenizer.vocabulary.size)
    overall, within = (np.flatnonzero(own) for own in joined.model.chosen_2V.numpy())
    codes = (joined.tokens.obs["batch"] == "second").to_numpy(int)
    again = harmony_candidates(values.astype(np.float32), overall, within, codes, 8)
    for name, one in again.items():
        np.testing.assert_array_equal(one.corrected_ND, made.embeddings[name])


def test_a_saved_model_gives_every_fitted_cell_its_place_bit_for_bit(joined, tmp_path):
    joined.model.save_pretrained(tmp_path / "model")
    loaded = BatchCorrectionModel.from_pretrained(tmp_path / "model")
    assert loaded.sha256() == joined.model.sha256() and loaded.weights == joined.model.weights
    some = joined.tokens.take(np.arange(120)[::-3])
    found = predict(loaded, some, PredictParams(batch_size=7), ComputeOptions())["embedding"]
    assert (found == joined.embedding[::-3]).all()


def test_a_later_cell_comes_near_to_where_it_would_have_been(joined):
    """Forget a third of the fitted cells; the map places them by the others."""
    model = joined.model.copy()
    known = np.arange(120) % 3 > 0
    for name in ("before_NC", "embedding_NE", "code_N"):
        setattr(model.map, name, getattr(model.map, name)[known])
    late = joined.tokens.take(~known)
    found = predict(model, late, PredictParams(), ComputeOptions())["embedding"]
    missed = ((found - joined.embedding[~known]) ** 2).sum()
    spread = ((joined.embedding - joined.embedding.mean(axis=0)) ** 2).sum() / 3
    assert missed / spread < 0.1


def test_genes_that_no_component_has_weigh_nothing(joined):
    weights = joined.model.gene_weights()
    chosen = joined.model.chosen_2V.numpy().any(axis=0)
    assert (weights[~chosen] == 0).all() and (weights[chosen] > 0).mean() > 0.9


def test_a_trained_network_is_one_candidate_and_the_result_without_it_is_kept(parts):
    untrained = parts.model(paths=("pooled",))
    untrained.chosen_2V[:, untrained.tokenizer.vocabulary.gene_rows] = True
    compute = ComputeOptions()
    fitting = FineTuneParams(max_epochs=1)
    network, _ = fine_tune(untrained, parts.tokens, parts.tokens, fitting, compute)
    options = CandidateParams(components=8, width=6), PredictParams(), compute
    model, made = combine(parts.valid, parts.tokens, network, *options)
    assert {NETWORK, "trained_model_harmony"} <= set(model.weights) and network.map is None
    assert made.without_model.shape == (120, 6)
    outputs = predict(model, parts.tokens, PredictParams(), compute)
    assert outputs["embedding"].shape == (120, 6) and len(model.map.scale_R) == len(RECIPES) + 1
