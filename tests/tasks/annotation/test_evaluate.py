from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.tasks.annotation.annotator import Calibration
from sc_mamba2.tasks.annotation.evaluate import (
    calibration_alarms,
    describe_data,
    methods_and_views,
    score,
    score_model,
    score_others,
    score_views,
)
from sc_mamba2.tasks.annotation.params import CallParams, LabelParams
from sc_mamba2.tasks.annotation.report import annotation_report

NAMES = pd.Index(["1", "2", "3", "4"])
CALLS = pd.DataFrame(
    {
        "scm_cell_type": ["a", "b", "b", "a"],
        "scm_cell_type_confidence": [0.9, 0.8, 0.7, 0.4],
        "scm_unassigned": [False, False, False, True],
        "energy": [-5.0, -4.0, -1.0, -3.0],
    },
    index=NAMES,
)


def test_a_type_that_the_reference_does_not_know_counts_as_wrong():
    truth = pd.Series(["a", "b", "unknown", "a"], index=NAMES)
    scores = score_model(CALLS, truth, ("a", "b"))
    assert scores["accuracy"] == 0.75
    assert scores["balanced_accuracy"] == pytest.approx(2 / 3)
    assert scores["unassigned_share"] == 0.25
    assert describe_data(CALLS, truth, ("a", "b"), {})["known_share"] == 0.75


def test_without_a_truth_nothing_is_scored():
    truth = pd.Series([], dtype=str)
    assert score_model(CALLS, truth, ("a", "b")) == {"unassigned_share": 0.25}
    assert score_others(CALLS, truth) == {}


def test_every_method_is_scored_on_the_cells_that_have_a_truth():
    truth = pd.Series(["a", "b"], index=["1", "2"])
    others = pd.DataFrame(
        {"right": ["a", "b", "x", "x"], "wrong": ["b", "a", "x", "x"]}, index=NAMES
    )
    scores = score_others(others, truth)
    assert scores["right"]["accuracy"] == 1 and scores["wrong"]["accuracy"] == 0
    assert np.isfinite(list(scores["wrong"].values())).all()


def test_unseen_types_are_scored_by_confidence_and_by_energy():
    truth = pd.Series(["a", "b", "unknown", "a"], index=NAMES)
    scores = score_model(CALLS, truth, ("a", "b"))
    # Confidence 0.7 of the unseen cell is below 0.9 and 0.8 and above 0.4; its energy is the highest.
    assert scores["unseen_auroc"] == pytest.approx(2 / 3) and scores["unseen_auroc_energy"] == 1
    assert "unseen_auroc" not in score_model(CALLS, truth, ("a", "b", "unknown"))
    assert "unseen_auroc" not in score_model(CALLS, truth, ("x",))


def test_the_assigned_cells_have_a_row_of_their_own():
    truth = pd.Series(["a", "a", "unknown", "new"], index=NAMES)
    assigned = score_views(CALLS, truth, ("a", "b"), None)["assigned"]
    assert assigned["accuracy"] == pytest.approx(1 / 3) and assigned["assigned_share"] == 0.75
    assert assigned["unseen_recall"] == 0.5 and assigned["known_unassigned_share"] == 0
    assert assigned["open_set_accuracy"] == 0.5  # the first cell, and the one left unassigned


def test_where_nothing_is_assigned_there_is_no_accuracy():
    calls = CALLS.assign(scm_unassigned=True)
    truth = pd.Series(["a", "a"], index=["1", "2"])
    assigned = score_views(calls, truth, ("a", "b"), None)["assigned"]
    assert "accuracy" not in assigned and assigned["known_unassigned_share"] == 1


def test_broad_types_and_votes_are_scored_where_there_are_any():
    calls = CALLS.assign(scm_cell_type_broad=["x", "y", "y", "x"])
    calls["scm_cell_type_majority"] = ["a", "a", "b", "a"]
    truth = pd.Series(["a", "b", "z", "nowhere"], index=NAMES)
    views = score_views(calls, truth, ("a", "b"), {"a": "x", "b": "y", "z": "x"})
    assert views["rolled_up"]["accuracy"] == pytest.approx(2 / 3)
    assert views["rolled_up"]["scored_share"] == 0.75
    assert views["majority_vote"]["accuracy"] == 0.25
    assert set(score_views(CALLS, truth, ("a", "b"), None)) == {"assigned"}
    rows = methods_and_views({"model": {}, "views": views, "baselines": {"m": {}}, "ablations": {}})
    names = [f"model: {view}" for view in ("assigned", "rolled up", "majority vote")]
    assert list(rows) == ["model (all paths)", *names, "baseline: m"]


MODEL = SimpleNamespace(
    labels=("a", "b"),
    rollup=None,
    calibration=Calibration(),
    sha256=lambda: "0",
)
RUN = {"version": "1", "command": "scm annotate", "seed": "0", "run_id": "now"}


def score_labels(labels: list) -> dict:
    truth = pd.DataFrame({"label": pd.Series(labels, index=NAMES[: len(labels)], dtype=object)})
    others = pd.DataFrame({"knn": ["a"] * 4}, index=NAMES)
    return score(CALLS, truth, MODEL, RUN, LabelParams(), CallParams(), baseline_calls=others)


@pytest.mark.parametrize("labels", [["A", "B", "A", "B"], ["0.14", "0.28", "0.42", "0.57"], ["x"]])
def test_labels_that_share_nothing_with_the_reference_are_not_scored_and_named(labels, caplog):
    metrics = score_labels(labels)
    assert metrics["model"] == {"unassigned_share": 0.25} and metrics["baselines"] == {}
    assert metrics["views"] == {} and metrics["data"]["scored_cells"] == 0
    assert f"None of the query's labels ({labels[0]}" in caplog.text
    assert "is a type of the reference" in annotation_report(metrics, {}, {})


def test_one_label_of_the_reference_is_enough_to_be_scored(caplog):
    assert score_labels(["a", "new", "new", "new"])["model"]["accuracy"] == 0.25
    assert not caplog.text


@pytest.mark.parametrize(
    ("error", "confidence", "accuracy", "says"),
    [
        (0.257, 0.95, 0.70, "overconfident"),
        (0.257, 0.40, 0.70, "underconfident"),
        (0.101, 0.95, 0.85, "0.101"),
        (0.1, 0.95, 0.85, None),
    ],
)
def test_a_bad_calibration_raises_an_alarm(error, confidence, accuracy, says):
    scores = {"expected_calibration_error": error, "accuracy": accuracy}
    calls = CALLS.assign(scm_cell_type_confidence=confidence)
    alarms = calibration_alarms(scores, calls, Calibration(), CallParams())
    assert [alarm["rule"] for alarm in alarms] == (["calibration-bad"] if says else [])
    assert says is None or (says in alarms[0]["remark"] and "4 scored cells" in alarms[0]["remark"])
    lax = CallParams(most_calibration_error=0.3)
    assert calibration_alarms(scores, calls, Calibration(), lax) == []


def test_without_a_truth_the_validation_cells_are_asked():
    fitted = Calibration(cells=50, applied=False, error_before=0.2, error_after=0.05)
    (alarm,) = calibration_alarms({}, CALLS.iloc[:0], fitted, CallParams())
    assert "50 validation cells is 0.200" in alarm["remark"]
    applied = fitted.model_copy(update={"applied": True})
    assert calibration_alarms({}, CALLS.iloc[:0], applied, CallParams()) == []
    assert calibration_alarms({}, CALLS.iloc[:0], Calibration(), CallParams()) == []
