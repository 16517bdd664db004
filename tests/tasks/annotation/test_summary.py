import pytest

from sc_mamba2.tasks.annotation.summary import summarize


def metrics(**data) -> dict:
    facts = {"query_cells": 1000, "classes": 9, "called": {"T": 600, "B": 384}, "scored_cells": 0}
    return {"model": {"unassigned_share": 0.016}, "baselines": {}, "data": facts | data}


def test_the_result_counts_the_cells_of_each_type():
    result, trust, _ = summarize(metrics())
    assert (
        "984 of 1,000 cells were assigned to the 9 types of the reference: 600 T, 384 B;" in result
    )
    assert "the others (1.6%) are left unassigned" in result
    assert "true types of these cells are unknown" in trust and "warning" not in trust


def test_of_many_types_the_most_common_are_named():
    called = {f"type {at}": 20 - at for at in range(12)}
    result, _, _ = summarize(metrics(called=called))
    assert "20 type 0" in result and "13 type 7, 4 others;" in result and "type 8" not in result


@pytest.mark.parametrize(
    ("count", "words"), [(1, "there is a warning"), (2, "there are 2 warnings")]
)
def test_warnings_are_counted(count, words):
    assert words in summarize(metrics(alarms=[{}] * count))[1]


def test_a_score_stands_beside_the_best_baseline():
    scored = metrics(scored_cells=10) | {"baselines": {"pca": {"accuracy": 0.5}}}
    scored["model"]["accuracy"] = 0.4
    assert "WORSE than the best baseline (pca 0.500)" in summarize(scored)[1]


def test_nothing_is_said_of_others_where_there_are_none():
    everyone = metrics(called={"T": 600, "B": 400}) | {"model": {"unassigned_share": 0.0}}
    assert summarize(everyone)[0].endswith("the reference: 600 T, 400 B.")
