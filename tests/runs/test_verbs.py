"""What a verb keeps, and what it leaves alone; the run itself is replaced by one that writes two files."""

from pathlib import Path

import pytest

from sc_mamba2.errors import UserError
from sc_mamba2.runs import verbs
from sc_mamba2.runs.selection import Selection
from sc_mamba2.runs.session import Finished


def keep(output: Path, force: bool = False, **params: object) -> verbs.Kept:
    return verbs.run_verb(Selection(params=params), output, "task", "task.cells", force)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "06_models" / "task"
    folder.mkdir(parents=True)
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
