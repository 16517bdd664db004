"""A save that is killed or refused, at every contact with the disk: no whole checkpoint is lost."""

import logging
import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from tests.faults import saboteur
from tests.faults.toy import holds_numbers, save_numbers

from sc_mamba2.training import TrainingCheckpoints
from sc_mamba2.training.checkpoints import read_training_state

KILLED = -9
KINDS = {
    "after temporary file",
    "before fsync",
    "after fsync",
    "before rename",
    "after rename",
    "prune",
}


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Spare this process the wait for the disk; the children, which are killed, do wait."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def prepared(tmp_path, variant):
    saboteur.prepare(tmp_path / "prepared", variant[0])
    return tmp_path / "prepared"


def fresh(prepared: Path) -> Path:
    run = prepared.parent / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(prepared, run)
    return run


def attempt(zygote, prepared, variant, fault, at):
    keep_last, kinds = variant
    run = fresh(prepared)
    code, said = zygote.run(
        saboteur.save, run=str(run), keep_last=keep_last, kinds=kinds, fault=fault, at=at
    )
    return run, code, said


def steps_of(run: Path) -> list[int]:
    """Read every checkpoint that stands under its name; a partial one would raise."""
    found = [read_training_state(path) for path in sorted((run / "checkpoints").glob("step-*"))]
    assert all(map(holds_numbers, found))
    return [state.step for state in found]


def untouched(keep_last: int) -> set[int]:
    """Give the steps that no save may touch: the best, and the one before if two are kept."""
    return {1, 3} if keep_last > 1 else {1}


def goes_on(run: Path, keep_last: int, caplog) -> int:
    """Resume as a training would; return the step that was found."""
    with caplog.at_level(logging.WARNING), TrainingCheckpoints(run, keep_last) as checkpoints:
        found = checkpoints.newest()
        assert found is not None and holds_numbers(found)
        assert checkpoints.best() == run / "checkpoints" / "step-000000001"
        assert not [path for path in run.rglob(".*") if path.name != ".run.lock"]
        for step in range(found.step + 1, saboteur.NEXT + 2):
            save_numbers(checkpoints, step)
    assert not caplog.records
    kept = list(range(saboteur.NEXT + 2 - keep_last, saboteur.NEXT + 2))
    assert steps_of(run) == sorted({1, *kept})
    return found.step


def test_a_save_killed_anywhere(zygote, prepared, variant, full, caplog, record_property):
    _, code, (contacts,) = attempt(zygote, prepared, variant, "kill", 10_000)
    assert code == 0
    first_of_each = {contacts.index(contact) for contact in contacts}
    chosen = [
        at
        for at, contact in enumerate(contacts)
        if full or at in first_of_each or "rename" in contact
    ]
    assert {contacts[at] for at in chosen} >= KINDS
    record_property("tries", len(chosen))
    newest = []
    for at in chosen:
        run, code, _ = attempt(zygote, prepared, variant, "kill", at)
        assert code == KILLED
        assert set(steps_of(run)) >= untouched(variant[0])
        newest.append(goes_on(run, variant[0], caplog))
    assert newest == sorted(newest) and set(newest) == {3, 4}


@pytest.mark.parametrize(
    ("fault", "rule"),
    [("ENOSPC", "disk-full"), ("EROFS", "write-denied"), ("removed", "run-folder-missing")],
)
def test_a_save_that_the_system_refuses(zygote, prepared, variant, full, caplog, fault, rule):
    _, _, (contacts,) = attempt(zygote, prepared, variant, fault, 10_000)
    points = [at for at, contact in enumerate(contacts) if contact in saboteur.WRITES]
    for at in points if full else points[:: len(points) // 3]:
        run, code, said = attempt(zygote, prepared, variant, fault, at)
        assert (code, said) == (2, [rule]), contacts[at]
        if fault == "removed":
            assert not run.exists()
        else:
            assert set(steps_of(run)) >= untouched(variant[0])
            goes_on(run, variant[0], caplog)


def test_files_that_may_not_grow(zygote, tmp_path, tries, caplog):
    saboteur.prepare(tmp_path / "prepared")
    biggest = max(p.stat().st_size for p in (tmp_path / "prepared").rglob("*") if p.is_file())
    chance = random.Random(0)
    for _ in range(tries(30)):
        run, limit = fresh(tmp_path / "prepared"), chance.randrange(biggest - 1)
        answer = zygote.run(saboteur.save_within_limit, run=str(run), bytes_a_file=limit)
        assert answer == (2, ["disk-full"]), limit
        assert steps_of(run) == [1, 2, 3]
        assert goes_on(run, 2, caplog) == 3


@pytest.mark.parametrize("enter_first", [True, False])
def test_a_folder_that_may_not_be_written(zygote, enter_first):
    # Not below tmp_path: another user than its owner may not even look into that.
    outer = Path(tempfile.mkdtemp())
    try:
        outer.chmod(0o755)
        saboteur.prepare(outer / "run")
        answer = zygote.run(
            saboteur.save_as_nobody, run=str(outer / "run"), enter_first=enter_first
        )
        assert answer == (2, ["write-denied"])
        assert steps_of(outer / "run") == [1, 2, 3]
    finally:
        for folder, _, _ in os.walk(outer):
            Path(folder).chmod(0o755)
        shutil.rmtree(outer)
