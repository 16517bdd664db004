"""Scores of an embedding that are known beforehand; the sample and what stands beside the model."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from sc_mamba2.cells import keys
from sc_mamba2.reporting.pictures import draw_pictures
from sc_mamba2.tasks.embedding.baselines import sample_cells
from sc_mamba2.tasks.embedding.evaluate import score, score_embedding, score_transfer
from sc_mamba2.tasks.embedding.figures import (
    PICTURES,
    neighbours_figure,
    umap_figure,
    values_to_draw,
)
from sc_mamba2.tasks.embedding.model import load_encoder
from sc_mamba2.tasks.embedding.params import EmbeddingOptions, EvaluationParams
from sc_mamba2.tasks.shared.params import ValidationParams
from sc_mamba2.training import ComputeOptions

PARAMS = EvaluationParams(neighbours=5, cells=30)


def blobs(spread: float) -> tuple[np.ndarray, pd.DataFrame]:
    generator = np.random.default_rng(0)
    kinds = np.repeat([0, 1, 2], 40)
    centres = np.array([[0, 0], [5, 0], [0, 5]])
    vectors = centres[kinds] + spread * generator.normal(size=(120, 2))
    labels = np.array(["a", "b", "c"], dtype=object)[kinds]
    batches = np.array(["x", "y"], dtype=object)[generator.integers(2, size=120)]
    return vectors, pd.DataFrame({"label": labels, "batch": batches})


def test_types_that_lie_apart_score_one_and_noise_scores_chance():
    vectors, obs = blobs(0.1)
    scores = score_embedding(vectors, obs, PARAMS, seed=0)
    assert scores["knn_accuracy"] == scores["knn_macro_f1"] == 1
    assert scores["knn_batch_accuracy"] == pytest.approx(0.5, abs=0.15)
    lost = score_embedding(vectors[np.random.default_rng(1).permutation(120)], obs, PARAMS, seed=0)
    assert lost["knn_accuracy"] == pytest.approx(1 / 3, abs=0.15)


TYPES = {
    "knn_accuracy",
    "knn_macro_f1",
    "avg_bio",
    "nmi",
    "ari",
    "asw_label",
    "graph_connectivity",
}


def test_what_cannot_be_scored_is_left_out():
    vectors, obs = blobs(0.1)
    assert score_embedding(vectors, obs[[]], PARAMS, seed=0) == {}
    one = obs.assign(batch="x")
    assert set(score_embedding(vectors, one, PARAMS, seed=0)) == TYPES
    few = obs.assign(label=np.where(np.arange(120) < 118, None, "a"))
    # Of one label only how its cells hang together can be told.
    assert set(score_embedding(vectors, few[["label"]], PARAMS, seed=0)) == {"graph_connectivity"}


def test_types_from_an_index_are_scored_where_there_are_labels():
    columns = {keys.CELL_TYPE: ["a", "b", "a", "a"], keys.UNASSIGNED: [False, False, True, False]}
    calls = pd.DataFrame(columns)
    assert score_transfer(calls, pd.DataFrame(index=calls.index)) == {"unassigned_share": 0.25}
    obs = pd.DataFrame({"label": ["a", "b", "b", None]}, dtype=object)
    assert score_transfer(calls, obs)["transfer_accuracy"] == pytest.approx(2 / 3)


def test_labels_that_are_no_types_of_the_index_are_not_scored(caplog):
    calls = pd.DataFrame({keys.CELL_TYPE: ["a", "b"], keys.UNASSIGNED: [False, True]})
    obs = pd.DataFrame({"label": ["x", "y"]}, dtype=object)
    assert score_transfer(calls, obs) == {"unassigned_share": 0.5}
    assert "None of the query's labels (x, y, …) is a type of the index" in caplog.text


COMPUTE = ComputeOptions(device="cpu")


@pytest.fixture
def encoder(checkpoint):
    return load_encoder(EmbeddingOptions(checkpoint=str(checkpoint)))


@pytest.fixture
def sample(embed, cells_file, encoder):
    def take(**named: str) -> ad.AnnData:
        options = EmbeddingOptions()
        return sample_cells(embed(cells_file, **named), encoder, options, PARAMS, COMPUTE)

    return take


def test_a_sample_is_spread_over_the_file_with_its_own_cells(sample, cells_file):
    found, cells = sample(label_key="cell_type", batch_key="batch"), ad.read_h5ad(cells_file)
    places = cells.obs_names.get_indexer(found.obs_names)
    assert len(found) == 30 and places[0] == 0 and places[-1] == 49 and np.diff(places).max() <= 2
    assert list(found.obs["label"]) == list(cells.obs["cell_type"].iloc[places])
    counts = cells.X[places].toarray()
    assert np.array_equal(found.obs["genes_a_cell"], (counts > 0).sum(axis=1))
    expected = np.log1p(1e4 * counts / counts.sum(axis=1, keepdims=True))
    order = found.var_names.get_indexer(cells.var_names)
    np.testing.assert_allclose(found.X.toarray()[:, order], expected, rtol=1e-5)


def test_every_method_is_scored_and_random_weights_are_not_the_checkpoints(
    sample, embed, cells_file, encoder
):
    found, embedded = sample(label_key="cell_type"), embed(cells_file, label_key="cell_type")
    metrics = score(found, embedded, encoder, PARAMS, ValidationParams(), COMPUTE, {"seed": 0})
    assert set(metrics["baselines"]) == {"pca"} and set(metrics["ablations"]) == {"untrained"}
    # Types with marker genes: PCA finds them.
    assert metrics["baselines"]["pca"]["knn_accuracy"] > 0.6
    assert metrics["data"]["cells"] == 50 and metrics["data"]["scored_cells"] == 30
    assert metrics["data"]["label_classes"] == 3 and metrics["data"]["genes"]["matched"] == 200
    assert found.obsm["X_untrained"].shape == found.obsm[keys.EMBEDDING].shape
    again = sample(label_key="cell_type")
    assert np.array_equal(found.obsm["X_untrained"], again.obsm["X_untrained"])


def test_pictures_with_and_without_keys(sample):
    plain = draw_pictures(PICTURES, **values_to_draw(sample(), None, 5, 0))
    assert set(plain) == {"umap"} and plain["umap"].startswith(b"\x89PNG")
    both = sample(label_key="cell_type", batch_key="batch")
    drawn = values_to_draw(both, None, 5, 0)
    assert set(draw_pictures(PICTURES, **drawn)) == {"umap", "neighbours"}
    figure = neighbours_figure(drawn["vectors"], drawn["keys_of_cells"], 5)
    np.testing.assert_allclose(figure.axes[0].images[0].get_array().sum(axis=1), 1)
    figure = umap_figure(drawn["places"], drawn["classes"], drawn["shades"])
    assert len(figure.axes) == 4  # type, batch, genes, and the scale of the last
