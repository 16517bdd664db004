"""What is not repeated; that a run is repeated exactly stands in tests/e2e/test_project.py."""

import pytest
from tests.runs.made import kept, made

from sc_mamba2.errors import UserError
from sc_mamba2.files import sha256_of
from sc_mamba2.runs import rerun as repeating
from sc_mamba2.runs.new_project import new_project
from sc_mamba2.runs.records import DataFact, read_record
from sc_mamba2.runs.rerun import check_repeatable
from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import Finished


@pytest.fixture
def record(tmp_path):
    (tmp_path / "x.h5ad").write_text("cells")
    sha256 = sha256_of(tmp_path / "x.h5ad")
    return made(data={"reference.raw_cells": DataFact(sources=["x.h5ad"], sha256=sha256)})


def test_the_same_code_and_data_may_be_repeated(record, tmp_path):
    check_repeatable(record, tmp_path, force=False)


@pytest.mark.parametrize("text", ["other cells", None])
def test_other_data_are_refused_but_by_force(record, tmp_path, text):
    (tmp_path / "x.h5ad").unlink()
    if text:
        (tmp_path / "x.h5ad").write_text(text)
    with pytest.raises(UserError, match="rerun-data"):
        check_repeatable(record, tmp_path, force=False)
    check_repeatable(record, tmp_path, force=True)


def test_other_code_is_refused_but_by_force(record, tmp_path):
    older = record.code.model_copy(
        update={"sha256": "0" * 64, "commit": "1" * 40, "changed": False}
    )
    other = record.model_copy(update={"code": older})
    with pytest.raises(UserError, match="rerun-code") as refused:
        check_repeatable(other, tmp_path, force=False)
    assert "git checkout 111111111" in refused.value.mend
    check_repeatable(other, tmp_path, force=True)


@pytest.mark.parametrize("state", ["failed", "running"])
def test_a_run_without_results_is_refused_even_by_force(record, tmp_path, state):
    with pytest.raises(UserError, match="rerun-state") as refused:
        check_repeatable(record.model_copy(update={"state": state}), tmp_path, force=True)
    assert "kedro run --pipelines=annotation --env=test" in refused.value.mend


@pytest.mark.parametrize("accuracy", [0.5, 0.75])
def test_only_what_the_configuration_would_not_give_is_set_and_the_scores_are_compared(
    tmp_path, monkeypatch, accuracy
):
    parameters = {"annotation.fine_tune.max_epochs": 2, "compute.seed": 7, "input": "x.h5ad"}
    first = made(parameters=parameters, data={})
    asked = []

    def run(selection, project):
        asked.append(selection)
        scores = {"annotation": {"model.accuracy": accuracy, "model.macro_f1": 0.25}}
        again = made("2026-12-01", parameters=parameters, data={}, scores=scores)
        return Finished({}, kept(project, again))

    monkeypatch.setattr(repeating, "run_in_project", run)
    project = new_project(tmp_path / "mine")
    done = repeating.rerun(first, project, force=False)
    # conf/test says two epochs already
    assert asked[0].params == {"compute": {"seed": 7}, "input": "x.h5ad"}
    assert asked[0].pipelines == ("annotation",) and asked[0].env == "test"
    assert done.equal == (accuracy == 0.5)
    folder = project / "data/08_reporting/annotation/runs/2026-12-01"
    assert read_record(folder).repeats == first.run_id


def test_blocks_and_pretraining_do_not_go_on_from_what_is_there(tmp_path):
    of_each = {"embedding.source.input": "x", "annotation.launch.processes": 2}
    record = made(parameters=of_each | {"pretraining.corpus.sources": ["x"]})
    with repeating._fresh_places(record, tmp_path / "data") as places:
        blocks = {"embedding.source.blocks", "annotation.launch.blocks"}
        assert places.keys() == {*blocks, "pretraining.launch.run"}
        assert not any((tmp_path / str(place)).exists() for place in places.values())


def test_what_stands_in_local_by_now_does_not_change_a_run_that_is_repeated(tmp_path):
    project = new_project(tmp_path / "mine")
    at_first = made(
        parameters={"compute.seed": 0}, selection=Selection(pipelines=("annotation",)), data={}
    )

    def configuration():
        return repeating._configuration(at_first.selection, project)

    assert repeating._params(at_first, configuration()) == {}
    (project / "conf/local").mkdir(exist_ok=True)
    (project / "conf/local/parameters.yml").write_text("compute:\n  seed: 7\n")
    assert repeating._params(at_first, configuration()) == {"compute.seed": 0}
