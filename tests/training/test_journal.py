"""The journal after any break equals that of a run that was never broken."""

import json
import os
import shutil
import sys
from unittest.mock import patch

import pytest
from hypothesis import given, strategies as st

from sc_mamba2.errors import UserError
from sc_mamba2.training import Journal, read_journal


def write(path, steps, resume=0):
    # Nobody pulls the plug here, so the wait for the disk is spared.
    with patch.object(os, "fsync"), Journal(path, resume) as journal:
        for step in steps:
            journal.write(step, loss=1 / step, rate=0.1)


def test_one_line_a_write_and_read_back(tmp_path):
    path = tmp_path / "run" / "journal.jsonl"
    with Journal(path) as journal:
        journal.write(10, loss=1 / 3)
        journal.write(20, **{"loss": float("nan"), "validation/loss": 2.0, "why": "the end"})
        assert len(path.read_text().splitlines()) == 2  # there at once, not at the end
    assert json.loads(path.read_text().splitlines()[1])["loss"] is None
    table = read_journal(path)
    assert list(table.columns) == ["step", "loss", "validation/loss", "why"]
    assert list(table["step"]) == [10, 20]
    assert table["loss"][0] == 1 / 3 and table["loss"].isna()[1]


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 60))
def test_a_resume_makes_it_that_of_an_unbroken_run(tmp_path_factory, more, resumed, torn):
    folder = tmp_path_factory.mktemp("journal")
    write(folder / "unbroken", range(1, 12))
    write(folder / "broken", range(1, resumed + more + 1))
    content = (folder / "broken").read_bytes()
    whole = b"".join(content.splitlines(keepends=True)[:resumed])
    (folder / "broken").write_bytes(content[: max(len(whole), len(content) - torn)])
    write(folder / "broken", range(resumed + 1, 12), resumed)
    assert (folder / "broken").read_bytes() == (folder / "unbroken").read_bytes()
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "tail", [b'{"step": 3', b'{"step": 3}', b"\x00" * 40, b"\xff\n", b"[3]\n", b'{"loss": 3}\n']
)
def test_a_torn_end_is_tolerated(tmp_path, tail):
    path = tmp_path / "journal.jsonl"
    write(path, [1, 2])
    whole = path.read_bytes()
    path.write_bytes(whole + tail)
    assert list(read_journal(path)["step"]) == [1, 2]
    Journal(path, step=2)
    assert path.read_bytes() == whole


def test_an_absent_journal_has_no_rows(tmp_path):
    table = read_journal(tmp_path / "journal.jsonl")
    assert list(table.columns) == ["step"] and len(table) == 0


def test_a_folder_that_is_gone(tmp_path):
    journal = Journal(tmp_path / "run" / "journal.jsonl")
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(UserError, match="run-folder-missing"):
        journal.write(1, loss=1.0)
    assert not (tmp_path / "run").exists()


def test_tensorboard_that_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="tensorboard-missing"):
        Journal(tmp_path / "journal.jsonl", tensorboard=tmp_path / "board")
    Journal(tmp_path / "journal.jsonl").write(1, loss=1.0)


def test_tensorboard_takes_the_numbers(tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra `tensorboard`")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for resumed, loss in ((0, 1.0), (1, 5.0)):
        with Journal(tmp_path / "journal.jsonl", resumed, tmp_path / "board") as journal:
            for step in range(resumed + 1, 4):
                journal.write(step, loss=loss * step, why="words")
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    assert events.Tags()["scalars"] == ["loss"]
    assert [(one.step, one.value) for one in events.Scalars("loss")] == [(1, 1), (2, 10), (3, 15)]
    assert list(read_journal(tmp_path / "journal.jsonl")["loss"]) == [1, 10, 15]
