"""Every case: exit code 2, its rule, one message with found, expected and mend, no traceback, no output.

`make test` tries every third; `--faults full` all.
"""

import pytest
from tests.bad_inputs.cases import CASES
from tests.cli import refused


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "one" in metafunc.fixturenames:
        step = 1 if metafunc.config.getoption("--faults") == "full" else 3
        metafunc.parametrize("one", CASES[::step], ids=lambda one: one.name)


def test_a_bad_input_is_refused_in_one_message(one, tmp_path, monkeypatch):
    words = one.words(tmp_path)
    monkeypatch.chdir(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    refused(*words, rule=one.rule, folder=tmp_path)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    assert before == after


def test_there_are_a_hundred_named_cases():
    assert len(CASES) >= 100
