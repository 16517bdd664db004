import pytest
from filelock import FileLock
from tests.runs.made import FIRST, kept, made

from sc_mamba2.errors import UserError
from sc_mamba2.runs.records import (
    LOCK,
    RECORD,
    find_run,
    list_runs,
    read_record,
    record_folder,
    write_record,
)

SECOND = "2026-11-29T10.00.00.000Z"


@pytest.fixture
def project(tmp_path):
    kept(tmp_path, made())
    kept(tmp_path, made(SECOND))
    return tmp_path


def test_what_was_written_is_read(tmp_path):
    record = made(scores={"annotation": {"model.accuracy": 0.1 + 0.2, "model.nan": None}})
    assert read_record(kept(tmp_path, record)) == record


def test_runs_are_listed_from_the_newest_on(project):
    kept(project, made("2026-11-30T00.00.00.000Z"), task="embedding")
    assert [run.task for run in list_runs(project)] == ["embedding", "annotation", "annotation"]


def test_runs_are_found_where_an_environment_keeps_its_layers(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("results")
    (project / "linked").symlink_to(elsewhere)  # the same folder once more
    texts = ("data: results", f"data: {elsewhere}", "data: linked", "data: ${other}", "- a list")
    for env, text in zip(("base", "big", "link", "odd", "list"), texts, strict=True):
        (project / "conf" / env).mkdir(parents=True)
        (project / "conf" / env / "globals.yml").write_text(text + "\n")
    for layers, run_id in (
        (project / "results", FIRST[:-4] + "111Z"),
        (elsewhere, SECOND[:-4] + "222Z"),
    ):
        write_record(record_folder(layers, "annotation", run_id), made(run_id))
    assert len(list_runs(project)) == 4
    assert find_run(project, FIRST[:-4] + "111Z").state == "finished"


@pytest.mark.parametrize("name", [FIRST, FIRST[:10], "2026-11-28T"])
def test_a_run_is_found_by_its_id_and_its_beginning(project, name):
    assert find_run(project, name).run_id == FIRST


def test_latest_is_the_newest_that_finished(project):
    kept(project, made("2026-11-30T00.00.00.000Z", state="failed", error="why"))
    assert find_run(project, "latest").run_id == SECOND


@pytest.mark.parametrize(
    ("name", "rule", "says"),
    [
        ("2026-11-27T", "run-unknown", "did you mean"),
        (FIRST.replace("42", "43"), "run-unknown", f"did you mean '{FIRST}'"),
        ("latset", "run-unknown", "did you mean 'latest'"),
        ("2026", "run-ambiguous", SECOND),
        ("../../secret", "run-name", "not the id"),
        ("..", "run-name", "not the id"),
        ("/etc", "run-name", "not the id"),
        (f"x/{FIRST}", "run-name", "not the id"),
        ("", "run-name", "not the id"),
    ],
)
def test_what_names_no_run_is_refused(project, name, rule, says):
    with pytest.raises(UserError, match=says) as refused:
        find_run(project, name)
    assert refused.value.rule == rule


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 2}', "", "\x00", "null"])
def test_a_damaged_record_is_listed_as_damaged(project, content):
    (kept(project, made(SECOND)) / RECORD).write_text(content)
    newest, other = list_runs(project)
    assert newest.state == "damaged" and newest.reason and other.state == "finished"
    with pytest.raises(UserError, match="run-damaged"):
        find_run(project, SECOND)


def test_the_record_of_another_run_is_damaged(project):
    (kept(project, made(SECOND)) / RECORD).write_text(made().model_dump_json())
    assert list_runs(project)[0].state == "damaged"


def test_a_run_that_nobody_works_at_was_interrupted(tmp_path):
    folder = kept(tmp_path, made(state="running", seconds=None))
    assert list_runs(tmp_path)[0].state == "interrupted"
    with FileLock(folder / LOCK):
        assert list_runs(tmp_path)[0].state == "running"
    assert list_runs(tmp_path)[0].state == "interrupted"
