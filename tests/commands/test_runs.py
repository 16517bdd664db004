"""What `scm runs`, `compare` and `rerun` print, of records that stand in for runs."""

import json

import pytest
from tests.cli import entered, invoke, refused
from tests.runs.made import FIRST, kept, made

from sc_mamba2.runs import rerun
from sc_mamba2.runs.new_project import new_project
from sc_mamba2.runs.records import RECORD
from sc_mamba2.runs.session import Finished

SECOND, BROKEN = "2026-11-29T10.00.00.000Z", "2026-11-30T10.00.00.000Z"
COLUMNS = 80


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = new_project(tmp_path / "project")
    long = {f"annotation.{'very' * 9}.long_{at}": [at, None, True] for at in range(3)}
    kept(folder, made())
    scores = {"annotation": {"model.accuracy": 0.75, "model.macro_f1": 0.25}}
    other = made(SECOND, parameters=long, defaults=dict.fromkeys(long, 1), scores=scores)
    kept(folder, other.model_copy(update={"repeats": FIRST}))
    (kept(folder, made(BROKEN)) / RECORD).write_text("{")
    monkeypatch.chdir(folder / "notebooks")
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    # Kedro adds the project to both: not for the tests that follow.
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.syspath_prepend(str(folder / "src"))
    return folder


def test_runs_are_readable_at_80_columns(project):
    text = entered("runs").output
    assert max(map(len, text.splitlines())) <= COLUMNS
    assert text.index(BROKEN) < text.index(SECOND) < text.index(FIRST)
    for word in ("damaged", "finished, 14 s", "accuracy 0.750", "x.h5ad (abababab)", "repeats"):
        assert word in text
    assert "annotation.fine_tune.max_epochs=2" in text and "Traceback" not in text


def test_runs_as_json_hold_the_whole_record(project):
    broken, _, first = json.loads(entered("runs", "--json").stdout)
    assert broken["state"] == "damaged" and broken["record"] is None and broken["reason"]
    assert first["record"] == made().model_dump(mode="json") and first["run_id"] == FIRST


def test_some_of_the_runs(project):
    assert len(json.loads(entered("runs", "--json", "--last", "1").stdout)) == 1
    assert "2 older" in entered("runs", "--last", "1").output
    assert json.loads(entered("runs", "--json", "-p", "embedding").stdout) == []
    assert "there are runs of annotation" in entered("runs", "-p", "embedding").output
    assert entered("runs", "--quiet", "--last", "2").output.split() == [BROKEN, SECOND]


def test_a_comparison_is_readable_at_80_columns(project):
    text = entered("compare", FIRST[:10], SECOND).output
    assert max(map(len, text.splitlines())) <= COLUMNS
    for word in ("B - A", "+0.2500", "equal: data, code", "equal scores: 1", FIRST, SECOND):
        assert word in text
    assert "compute.seed" in text


def test_a_comparison_as_json(project):
    found = json.loads(entered("compare", FIRST, "latest", "--json").stdout)
    assert found["scores"] == [
        {"name": "model.accuracy", "first": 0.5, "second": 0.75, "difference": 0.25}
    ]
    assert found["second"] == SECOND and found["data"] == found["code"] == []
    assert "model.accuracy" in entered("compare", FIRST, "latest", "--quiet").output.split()
    assert entered("compare", FIRST, FIRST, "--quiet").output == ""


def test_what_verbs_left_is_compared_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, seed in (("one", 0), ("two", 1)):
        record = made(f"run-{name}", parameters={"compute.seed": seed})
        folder = kept(tmp_path, record)
        folder.rename(tmp_path / f"{name}.scm")
    found = json.loads(entered("compare", "one.scm", "two.scm", "--json").stdout)
    assert [change["name"] for change in found["parameters"]] == ["compute.seed"]
    refused("compare", "one.scm", "three.scm", rule="run-unknown")


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["compare", "latest", "../../secret"], "run-name"),
        (["compare", BROKEN, FIRST], "run-damaged"),
        (["rerun", "../x"], "run-name"),
        (["rerun", "2025"], "run-unknown"),
        (["rerun", "2026"], "run-ambiguous"),
        (["rerun", FIRST], "rerun-data"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_message(project, words, rule):
    before = sorted(project.rglob("*"))
    refused(*words, rule=rule)
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize(("accuracy", "code"), [(0.5, 0), (0.75, 1)])
def test_rerun_says_equal_or_what_differs(project, monkeypatch, accuracy, code):
    scores = {"annotation": {"model.accuracy": accuracy, "model.macro_f1": 0.25}}
    again = kept(project, made("2026-12-01", scores=scores))
    monkeypatch.setattr(rerun, "run_in_project", lambda *_: Finished({}, again))
    shown = invoke("rerun", FIRST, "--force")
    text = shown.output
    assert ("equal: 2 scores" in text) != ("NOT equal" in text and "+0.2500" in text)
    as_json = invoke("rerun", FIRST, "--force", "--json")
    assert shown.exit_code == as_json.exit_code == code and "Traceback" not in text
    told = json.loads(as_json.stdout)
    assert told["equal"] == (code == 0) and told["repeats"] == FIRST and told["run"] == "2026-12-01"


def test_a_rerun_without_scores_is_not_called_equal(project, monkeypatch):
    kept(project, made("2026-12-01", scores={}, data={}))
    again = kept(project, made("2026-12-02", scores={}, data={}))
    monkeypatch.setattr(rerun, "run_in_project", lambda *_: Finished({}, again))
    text = entered("rerun", "2026-12-01").output
    assert "nothing to compare" in text and "equal" not in text


def test_no_color_is_respected(project, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[32m" in entered("runs").output
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in entered("runs").output


def test_without_a_finished_run_the_latest_is_none(tmp_path, monkeypatch):
    monkeypatch.chdir(new_project(tmp_path / "empty"))
    text = refused("compare", "latest", "latest", rule="run-unknown")
    assert "no finished run among 0" in text and "did you mean" not in text
    assert "no runs yet" in entered("runs").output


def test_init_says_what_is_next_and_refuses_what_is_there(tmp_path):
    text = entered("init", tmp_path / "mine").output
    assert "scm run --pipeline annotation --env test" in text
    refused("init", tmp_path / "mine", rule="init-folder")
    told = json.loads(entered("init", tmp_path / "other", "--json").stdout)
    assert told == {"project": str(tmp_path / "other")}
