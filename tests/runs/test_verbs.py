"""What a verb keeps, and what it leaves alone; the run itself is replaced by one that writes two files."""

from pathlib import Path

import pytest
from tests.checkpoints import write_random_checkpoint

from sc_mamba2.errors import UserError
from sc_mamba2.runs import verbs
from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import Finished


def keep(output: Path, force: bool = False, **params: object) -> verbs.Kept:
    return verbs.run_verb(Selection(params=params), output, "task", "task.cells", force)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "06_models" / "task"
    write_random_checkpoint(folder)
    return folder


@pytest.fixture(autouse=True)
def quick_run(monkeypatch: pytest.MonkeyPatch, checkpoint: Path) -> None:
    def run(selection: Selection, folder: Path) -> Finished:
        written = {
            "task.cells": folder / "data" / "07_model_output" / "cells.h5ad",
            "task.metrics": folder / "data" / "08_reporting" / "metrics.json",
        }
        for path in written.values():
            path.parent.mkdir(parents=True)
            path.write_text("{}")
        return Finished(written | {"task.checkpoint": checkpoint})

    monkeypatch.setattr(verbs, "run_in_folder", run)


def test_a_checkpoint_that_was_read_stays_where_it_is(tmp_path: Path, checkpoint: Path):
    kept = keep(tmp_path / "out.h5ad", checkpoint=str(checkpoint))
    assert checkpoint.is_dir()
    assert [path.name for path in kept.folder.iterdir()] == ["metrics.json"]


def test_an_output_folder_named_like_a_layer_changes_nothing(tmp_path: Path):
    folder = tmp_path / "08_reporting"
    folder.mkdir()
    kept = keep(folder / "out.h5ad")
    assert kept.output.is_file() and kept.folder.name == "out.scm"


@pytest.mark.parametrize("role", ["input", "query", "checkpoint"])
def test_what_is_read_is_never_written_over(tmp_path: Path, role: str):
    output = tmp_path / "out.h5ad"
    keep(output)
    read = output.with_suffix(".scm") / "checkpoint" if role == "checkpoint" else output
    with pytest.raises(UserError, match="output-is-input"):
        keep(output, force=True, **{role: str(read)})
    assert output.is_file() and output.with_suffix(".scm").is_dir()


def test_force_replaces_results_and_nothing_else(tmp_path: Path):
    output = tmp_path / "out.h5ad"
    keep(output)
    with pytest.raises(UserError, match="output-exists"):
        keep(output)
    keep(output, force=True)
    foreign = tmp_path / "mine.scm"
    foreign.mkdir()
    (foreign / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="output-exists"):
        keep(tmp_path / "mine.h5ad", force=True)
    assert (foreign / "notes.txt").is_file()


def refuse() -> None:
    raise UserError("refused", found="", expected="", mend="")


def left_over(tmp_path: Path) -> list[str]:
    return [path.name for path in tmp_path.iterdir() if path.name != "data"]


def test_a_resumable_folder_outlives_a_kill_and_a_later_refusal(tmp_path: Path):
    output = tmp_path / "out.h5ad"
    with pytest.raises(KeyboardInterrupt), verbs.resumable_folder(output) as blocks:
        blocks.mkdir()
        (blocks / "one").write_text("1")
        raise KeyboardInterrupt
    with pytest.raises(UserError, match="refused"), verbs.resumable_folder(output):
        refuse()
    with verbs.resumable_folder(output) as again:
        assert (again / "one").read_text() == "1"
    assert not left_over(tmp_path)


def test_a_first_run_that_is_refused_leaves_nothing(tmp_path: Path):
    with pytest.raises(UserError), verbs.resumable_folder(tmp_path / "out.h5ad") as blocks:
        blocks.mkdir()
        refuse()
    with pytest.raises(ValueError, match="ours"), verbs.resumable_folder(tmp_path / "out.h5ad"):
        raise ValueError("ours")
    assert not left_over(tmp_path)


def test_two_runs_for_one_output_do_not_mix(tmp_path: Path):
    first, second = (verbs.resumable_folder(tmp_path / "out.h5ad") for _ in range(2))
    with first, pytest.raises(UserError, match="run-locked"), second:
        pass
    assert not left_over(tmp_path)


def test_what_a_killed_run_left_is_removed(tmp_path: Path):
    left = tmp_path / ".out.h5ad-a1b2c3d4"
    left.mkdir()
    with verbs.resumable_folder(tmp_path / "out.h5ad"):
        assert not left.exists()


def test_one_result_is_kept_and_only_ours_is_replaced(tmp_path: Path):
    output = tmp_path / "out.json"
    selection = Selection()
    assert verbs.run_for(selection, output, "task.metrics", ".json", False).read_text() == "{}"
    with pytest.raises(UserError, match="output-exists"):
        verbs.run_for(selection, output, "task.metrics", ".json", False)
    verbs.run_for(selection, output, "task.metrics", ".json", True)
    mine = tmp_path / "mine"
    mine.mkdir()
    with pytest.raises(UserError, match="output-exists"):
        verbs.run_for(selection, mine, "task.metrics", "index.json", True)
    with pytest.raises(UserError, match="output-is-input"):
        params = {"embedding": {"options": {"checkpoint": str(output)}}}
        verbs.run_for(Selection(params=params), output, "task.metrics", ".json", True)
    assert mine.is_dir() and output.is_file()
