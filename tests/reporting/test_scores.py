"""The table of scores: who is marked, and what a method lacks."""

from sc_mamba2.reporting import Section, comparison, score_table, scores_by_method, task_report

METRICS = {
    "model": {"a": 0.5, "b": 1.0},
    "baselines": {"pca": {"a": 0.7}, "knn": {"a": 0.7}},
    "ablations": {"none": {"a": 0.9}},
}


def test_the_best_rivals_are_marked_and_an_ablation_is_none():
    table = score_table(scores_by_method(METRICS), ["a", "b"], "caption", "a")
    assert table.header == ["method", "a", "b"] and table.caption == "caption"
    assert [row[0] for row in table.rows] == [
        "model",
        "baseline: pca",
        "baseline: knn",
        "ablation: none",
    ]
    assert sorted(table.best) == [1, 2]
    assert table.rows[1][2] == "–" and table.rows[0][1:] == ["0.500", "1.000"]


def test_nothing_is_marked_where_nobody_asks_or_has_the_score():
    assert not score_table(scores_by_method(METRICS), ["a"], "").best
    assert not score_table(scores_by_method(METRICS), ["a"], "", "c").best


def test_words():
    assert [comparison(1, 0), comparison(1, 1.0001), comparison(0, 1)] == [
        "is above",
        "equals",
        "is BELOW",
    ]


def test_a_report_ends_with_parameters_and_the_run():
    run = {"version": "1", "run_id": "x"}
    page = task_report(
        "Task", ["Came out.", "Trust."], [Section("Own", ["words"])], {"a.b": 3}, run
    )
    assert "Came out. Trust." in page
    places = [page.index(word) for word in (">Own<", ">Parameters<", "a.b", ">Run<", "run_id")]
    assert places == sorted(places)
    assert "sc-mamba2 1 · run x" in page[places[-1] :]
