"""Scores with and without types; what makes them doubtful."""

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.tasks.batch_correction.evaluate import describe_data, score_embedding

NAMES = pd.Index([f"c{n}" for n in range(60)])


def truth_of(labels: list | None = None) -> pd.DataFrame:
    """Cells of two batches in turn, with labels or none."""
    columns = {"batch": ["x", "y"] * 30, "label": labels}
    return pd.DataFrame(columns, index=NAMES, dtype=object)


def embedding() -> np.ndarray:
    types = np.arange(60) // 20
    return np.eye(3)[types] * 9 + np.random.default_rng(0).normal(size=(60, 3))


def test_without_types_only_the_mixing_is_scored():
    scores = score_embedding(embedding(), truth_of(), None, 0)
    assert scores.keys() & {"avg_bio", "asw_batch", "graph_connectivity"} == set()
    assert scores["batch_mixing"] == pytest.approx(1, abs=0.15)


def test_cells_without_a_type_are_left_out_of_the_scores_that_need_one():
    truth = truth_of(["a"] * 20 + ["b"] * 20 + [None] * 20)
    scores = score_embedding(embedding(), truth, None, 0)
    assert scores["avg_bio"] > 0.8 and scores["asw_batch"] > 0.8
    data = describe_data(truth)
    assert (data["cells"], data["labelled_cells"], data["labels"]) == (60, 40, 2)
    assert data["batches"] == {"x": 30, "y": 30}


def test_types_of_one_batch_are_a_doubt():
    (doubt,) = describe_data(truth_of(["odd", "even"] * 30))["doubts"]
    assert doubt["rule"] == "batch-confounded" and "2 of 2 labels" in doubt["remark"]
    assert describe_data(truth_of(["a", "a", "b", "b"] * 15))["doubts"] == []
    assert describe_data(truth_of())["doubts"] == []
