from tests.runs.made import made

from sc_mamba2.runs.compare import compare_runs
from sc_mamba2.runs.records import DataFact


def test_equal_runs_differ_in_nothing():
    found = compare_runs(made("a"), made("b"))
    assert not (found.parameters or found.data or found.code or found.scores)
    assert found.equal_scores == 2


def test_scores_are_compared_to_the_last_bit():
    first = made("a", scores={"annotation": {"model.accuracy": 0.3, "model.macro_f1": 0.25}})
    other = made("b", scores={"annotation": {"model.accuracy": 0.1 + 0.2, "model.macro_f1": 0.25}})
    found = compare_runs(first, other)
    (score,) = found.scores
    assert score.name == "model.accuracy" and score.difference == 0.1 + 0.2 - 0.3 != 0
    assert found.equal_scores == 1


def test_a_score_that_one_run_lacks_is_shown_without_a_difference():
    other = made("b", scores={"annotation": {"model.accuracy": 0.5, "model.extra": 1.0}})
    missing, extra = compare_runs(made("a"), other).scores
    assert (missing.first, missing.second, missing.difference) == (0.25, None, None)
    assert (extra.name, extra.first) == ("model.extra", None)


def test_parameters_that_one_run_lacks_are_shown():
    first, second = made("a", parameters={"x": 1, "y": [1]}), made("b", parameters={"x": 2})
    assert [(c.name, c.first, c.second) for c in compare_runs(first, second).parameters] == [
        ("x", 1, 2),
        ("y", [1], None),
    ]


def test_data_are_compared_by_content_not_by_name():
    moved = DataFact(sources=["moved.h5ad"], sha256="ab" * 32)
    other = DataFact(sources=["x.h5ad"], sha256="cd" * 32)
    first = made("a")
    parameters = first.parameters | {"input": "moved.h5ad"}
    same = made("b", data={"reference.raw_cells": moved}, parameters=parameters)
    found = compare_runs(first, same)
    assert not found.data and not found.parameters
    (change,) = compare_runs(first, made("b", data={"reference.raw_cells": other})).data
    assert change.second["sha256"] == "cd" * 32


def test_simulations_are_compared_by_name():
    def of(name: str):
        return made(name, data={"cells": DataFact(sources=[name], sha256=None)})

    assert compare_runs(of("simulated:a"), of("simulated:b")).data
    assert not compare_runs(of("simulated:a"), of("simulated:a")).data


def test_code_and_libraries_are_told_apart():
    code = made().code
    newer = code.model_copy(
        update={"sha256": "0" * 64, "libraries": code.libraries.replace("torch ", "torch 9")}
    )
    committed = code.model_copy(update={"commit": "0" * 40, "changed": not code.changed})
    names = [change.name for change in compare_runs(made("a"), made("b", code=newer)).code]
    assert names == ["sc-mamba2", "torch"]
    assert not compare_runs(made("a"), made("b", code=committed)).code


def test_scores_of_several_tasks_keep_their_task():
    both = {"annotation": {"model.a": 1.0}, "embedding": {"model.a": 2.0}}
    other = {"annotation": {"model.a": 1.0}, "embedding": {"model.a": 3.0}}
    (score,) = compare_runs(made("a", scores=both), made("b", scores=other)).scores
    assert score.name == "embedding.model.a"
