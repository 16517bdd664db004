import numpy as np
import pandas as pd
import pytest

from sc_mamba2.pipelines.annotation.evaluate import describe_data, score_model, score_others

NAMES = pd.Index(["1", "2", "3", "4"])
CALLS = pd.DataFrame(
    {
        "scm_cell_type": ["a", "b", "b", "a"],
        "scm_cell_type_confidence": [0.9, 0.8, 0.7, 0.4],
        "scm_unassigned": [False, False, False, True],
    },
    index=NAMES,
)


def test_a_type_that_the_reference_does_not_know_counts_as_wrong():
    truth = pd.Series(["a", "b", "unknown", "a"], index=NAMES)
    scores = score_model(CALLS, truth)
    assert scores["accuracy"] == 0.75
    assert scores["balanced_accuracy"] == pytest.approx(2 / 3)
    assert scores["unassigned_share"] == 0.25
    assert describe_data(CALLS, truth, ("a", "b"), {})["known_share"] == 0.75


def test_without_a_truth_nothing_is_scored():
    truth = pd.Series([], dtype=str)
    assert score_model(CALLS, truth) == {"unassigned_share": 0.25}
    assert score_others(CALLS, truth) == {}


def test_every_method_is_scored_on_the_cells_that_have_a_truth():
    truth = pd.Series(["a", "b"], index=["1", "2"])
    others = pd.DataFrame(
        {"right": ["a", "b", "x", "x"], "wrong": ["b", "a", "x", "x"]}, index=NAMES
    )
    scores = score_others(others, truth)
    assert scores["right"]["accuracy"] == 1 and scores["wrong"]["accuracy"] == 0
    assert np.isfinite(list(scores["wrong"].values())).all()
