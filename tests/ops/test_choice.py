"""The choice by measurement, with a clock of the test's: what is fastest and right is taken and remembered."""

import json

import pytest
import torch

from sc_mamba2.ops import choice
from sc_mamba2.ops.choice import Work, choices_file, fastest, measured_choices

WORK = Work("a card", torch.bfloat16, 60, 2000, 1024, 64, 64, training=True)
JUDGE = torch.tensor([1.0, -2.0])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(choice, "_KNOWN", {})


class Clock:
    def __init__(self, **times):
        self.times, self.asked = times, 0

    def __call__(self, run):
        self.asked += 1
        return self.times[run.name]


class Path:
    def __init__(self, name, result=JUDGE):
        self.name, self.result = name, result

    def __call__(self):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


def runs(**changed):
    given = {"kernels": JUDGE, "fused": JUDGE * 1.01, "twice": JUDGE} | changed
    return {name: Path(name, result) for name, result in given.items()}


def test_the_fastest_is_taken_measured_once_and_remembered(monkeypatch):
    clock = Clock(kernels=3.0, fused=1.0, twice=2.0)
    assert fastest(WORK, lambda: JUDGE, runs(), clock) == "fused"
    assert fastest(WORK, lambda: JUDGE, runs(), clock) == "fused"
    assert clock.asked == 3
    monkeypatch.setattr(choice, "_KNOWN", {})  # another process
    like = WORK._replace(rows=64, length=2048)
    assert fastest(like, lambda: JUDGE, runs(), clock) == "fused"
    assert clock.asked == 3
    assert fastest(WORK._replace(length=5000), lambda: JUDGE, runs(), clock) == "fused"
    assert clock.asked == 6
    assert measured_choices()[WORK.key()]["milliseconds"] == clock.times


def test_what_fails_or_says_something_else_is_left_out_with_its_reason(caplog):
    broken = runs(fused=JUDGE * 1.5, twice=RuntimeError("no image for this device"))
    assert (
        fastest(WORK, lambda: JUDGE, broken, Clock(kernels=9.0, fused=1.0, twice=1.0)) == "kernels"
    )
    left_out = measured_choices()[WORK.key()]["left_out"]
    assert left_out == {
        "fused": "0.5 apart from the blocked path",
        "twice": "no image for this device",
    }
    assert "no image for this device" in caplog.text


def test_a_nan_is_no_result():
    lost = runs(fused=JUDGE * float("nan"))
    assert (
        fastest(WORK, lambda: JUDGE, lost, Clock(kernels=9.0, fused=1.0, twice=10.0)) == "kernels"
    )


def test_where_nothing_is_right_the_blocked_path_runs():
    assert fastest(WORK, lambda: JUDGE, {}, Clock()) == "blocked"


@pytest.mark.parametrize("content", ["{", "[]", json.dumps({WORK.key(): {"path": "gone"}})])
def test_a_file_that_says_nothing_is_measured_anew(content):
    choices_file().parent.mkdir(parents=True)
    choices_file().write_text(content)
    assert (
        fastest(WORK, lambda: JUDGE, runs(), Clock(kernels=1.0, fused=2.0, twice=2.0)) == "kernels"
    )
    assert measured_choices()[WORK.key()]["path"] == "kernels"


def test_a_home_that_cannot_be_written_costs_a_measurement(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert (
        fastest(WORK, lambda: JUDGE, runs(), Clock(kernels=1.0, fused=2.0, twice=2.0)) == "kernels"
    )
