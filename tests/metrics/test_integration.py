"""The table of scores: its keys, its means, what stands in it where something is missing."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from tests.metrics import plain

from sc_mamba2.errors import UserError
from sc_mamba2.metrics import integration
from sc_mamba2.metrics.groups import group_codes
from sc_mamba2.metrics.integration import integration_scores

BIO, BATCH = ("nmi", "ari", "asw_label"), ("asw_batch", "graph_connectivity")
KEYS = {"avg_bio", "avg_batch", *BIO, *BATCH, "resolution", "silhouette_cells"}


def test_keys_and_means():
    scores = integration_scores(*plain.blobs(), extras=False)
    assert scores.keys() == KEYS
    assert all(type(value) is float for value in scores.values())
    assert scores["avg_bio"] == pytest.approx(np.mean([scores[key] for key in BIO]))
    assert scores["avg_batch"] == pytest.approx(np.mean([scores[key] for key in BATCH]))
    assert scores["nmi"] == 1 and scores["silhouette_cells"] == 300
    assert scores == integration_scores(*plain.blobs(), extras=False)


def test_types_in_one_heap_score_less():
    points, labels, batches = plain.blobs()
    noise = np.random.default_rng(1).normal(size=points.shape)
    good = integration_scores(points, labels, batches, extras=False)
    bad = integration_scores(noise, labels, batches, extras=False)
    assert bad["avg_bio"] < 0.3 < 0.8 < good["avg_bio"]


def test_without_labels_or_batches():
    points, labels, batches = plain.blobs(60)
    none = integration_scores(points, None, None, extras=False)
    assert {key for key, value in none.items() if value is not None} == {"silhouette_cells"}
    no_batch = integration_scores(points, labels, None, extras=False)
    assert no_batch["avg_bio"] > 0.5 and no_batch["graph_connectivity"] > 0.5
    assert no_batch["asw_batch"] is None and no_batch["avg_batch"] is None
    one_batch = integration_scores(points, labels, ["x"] * 60, extras=False)
    assert one_batch == no_batch
    one_label = integration_scores(points, ["a"] * 60, batches, extras=False)
    assert all(one_label[key] is None for key in ("avg_bio", *BIO, "resolution"))
    assert one_label["avg_batch"] > 0.5
    no_label = integration_scores(points, None, batches, extras=False)
    assert no_label == none


@given(plain.scenes())
def test_ranges(scene):
    scores = integration_scores(*scene, resolutions=(0.5, 1.0), extras=False)
    assert all(value is None or value <= 1 for key, value in scores.items() if key[0] in "ang")
    assert all(scores[key] is None or scores[key] >= 0 for key in ("nmi", "asw_label", *BATCH))


@pytest.mark.parametrize("cells", [1, 2, 3])
def test_very_few_cells(cells):
    scores = integration_scores(np.eye(3)[:cells], list("aba")[:cells], list("xyx")[:cells])
    assert scores.keys() >= KEYS


def test_a_sample_is_recorded():
    assert integration_scores(*plain.blobs(), most=100, extras=False)["silhouette_cells"] == 100


@pytest.mark.parametrize(
    "embedding", [np.full((4, 2), np.nan), np.zeros((0, 2)), np.zeros((4, 0)), np.zeros(4)]
)
def test_an_embedding_that_cannot_be_scored(embedding):
    with pytest.raises(UserError) as refused:
        integration_scores(embedding, None, None)
    assert refused.value.rule == "scores-embedding"


@pytest.mark.parametrize(
    "beside",
    [{"labels": ["a"] * 3}, {"batches": ["x"] * 5}, {"before_NE": np.zeros((3, 2))}],
)
def test_lengths_that_differ(beside):
    with pytest.raises(UserError) as refused:
        integration_scores(np.zeros((4, 2)), **{"labels": None, "batches": None} | beside)
    assert refused.value.rule == "scores-lengths"


def test_without_scib_metrics_its_scores_are_left_out(monkeypatch):
    monkeypatch.setattr(integration, "extra_scores_available", lambda: False)
    assert integration_scores(*plain.blobs(60)).keys() == KEYS


def test_groups_in_every_form_that_a_column_has():
    expected = [1, -1, 0, 1]
    for groups in (
        ["b", None, "a", "b"],
        np.array(["b", np.nan, "a", "b"], object),
        pd.Series(["b", pd.NA, "a", "b"], index=[5, 5, 6, 7], dtype="string"),
        pd.Categorical(["b", None, "a", "b"], categories=["z", "b", "a"]),
        pd.Series([20.0, np.nan, 10.0, 20.0]),
        ["b ", "  ", " a", "b"],
    ):
        assert group_codes(groups).tolist() == expected
