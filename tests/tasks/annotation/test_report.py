from sc_mamba2.reporting import score_table
from sc_mamba2.tasks.annotation.evaluate import methods_and_views
from sc_mamba2.tasks.annotation.report import CAPTION, SCORES, annotation_report


def table_of(metrics: dict):
    return score_table(methods_and_views(metrics), list(SCORES), CAPTION, "accuracy")


def metrics(model: float, baseline: float, frozen: float = 0.5) -> dict:
    def scores(value: float) -> dict:
        names = ("accuracy", "balanced_accuracy", "macro_precision", "macro_f1")
        return dict.fromkeys(names, value)

    return {
        "model": scores(model) | {"unassigned_share": 0.1},
        "baselines": {"logistic_regression": scores(baseline)},
        "ablations": {"trunk_frozen": scores(frozen)},
        "data": {"query_cells": 100, "scored_cells": 100, "classes": 3, "known_share": 1.0},
        "run": {"version": "0", "run_id": "now"},
        "summary": ("came out", "trust", "look"),
    }


def test_a_baseline_that_wins_is_marked_and_said():
    table = table_of(metrics(0.8, 0.9, frozen=0.95))
    assert [table.rows[i][0] for i in table.best] == ["baseline: logistic_regression"]
    page = annotation_report(metrics(0.8, 0.9), {}, {})
    assert "is BELOW the best baseline by accuracy (0.800, logistic_regression 0.900)" in page


def test_the_trunks_worth_is_told_in_cells():
    assert "changes +30 of 100 cells" in annotation_report(metrics(0.8, 0.7), {}, {})
    assert "changes -10 of 100 cells" in annotation_report(metrics(0.4, 0.7), {}, {})


def test_without_a_truth_nothing_is_claimed():
    unscored = metrics(0, 0) | {
        "model": {"unassigned_share": 0.2},
        "baselines": {},
        "ablations": {},
    }
    page = annotation_report(unscored, {}, {})
    assert "nothing can be scored" in page and "macro f1" not in page
    assert table_of(unscored).best == frozenset()


def test_labels_and_parameters_are_escaped():
    page = annotation_report(metrics(0.8, 0.7), {}, {"annotation.labels.key": "<script>alert(1)"})
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page


def test_a_view_of_the_model_is_never_marked_as_the_best():
    with_view = metrics(0.8, 0.7)
    with_view["views"] = {"assigned": {"accuracy": 0.99, "unseen_recall": 0.4}}
    table = table_of(with_view)
    assert [table.rows[i][0] for i in table.best] == ["model (all paths)"]
    assert "model: assigned" in [row[0] for row in table.rows]


def test_confidence_and_unseen_types_are_told_in_words():
    told = metrics(0.8, 0.7)
    told["model"] |= {"unseen_auroc": 0.61, "expected_calibration_error": 0.05}
    told["views"] = {"assigned": {"unseen_recall": 0.4, "known_unassigned_share": 0.1}}
    told["data"]["calibration"] = {
        "temperature": 1.5,
        "cells": 80,
        "applied": True,
        "error_before": 0.2,
        "error_after": 0.03,
        "loss_before": 0.9,
        "loss_after": 0.5,
    }
    page = annotation_report(told, {}, {})
    assert "temperature of 1.50 was applied" in page and "from 0.200 to 0.030" in page
    told["data"]["calibration"]["applied"] = False
    told["data"]["alarms"] = [{"rule": "calibration-bad", "remark": "CONFIDENCE CANNOT"}]
    other = annotation_report(told, {}, {})
    assert "No temperature was applied" in other and "CONFIDENCE CANNOT (calibration-bad)" in other
    assert "AUROC of 0.610" in page and "40.0% of them are left unassigned" in page


def test_what_the_types_have_in_common_is_told_and_what_was_not_found_is_named():
    told = metrics(0.8, 0.7)
    told["model"] |= {"parent_share": 0.9, "several_share": 0.3, "parent_accuracy": 0.95}
    told["data"]["terms"] = {"NK": ["CL:0000623", "natural killer cell"], "odd": None}
    page = annotation_report(told, {}, {})
    assert "90.0% of the cells have one type" in page and "For 95.0% of the cells" in page
    assert "natural killer cell" in page and "no parent: odd." in page
    told["model"]["several_parent_accuracy"] = 0.5
    assert "a parent of it (50.0% for parents of several)." in annotation_report(told, {}, {})
    assert "What the types have in common" not in annotation_report(metrics(0.8, 0.7), {}, {})
