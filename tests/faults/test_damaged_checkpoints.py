"""The newest checkpoint is damaged on the disk: it is named once, and the one before is taken."""

import logging
import random
import shutil
from pathlib import Path

import pytest
from tests.faults import saboteur
from tests.faults.toy import holds_numbers, save_numbers

from sc_mamba2.training import TrainingCheckpoints

NEWEST = "step-000000003"


def truncate(content: bytearray, chance: random.Random) -> None:
    del content[chance.randrange(max(1, len(content) - 1)) :]  # more than the last newline


def flip_a_bit(content: bytearray, chance: random.Random) -> None:
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def fill_with_zeros(content: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(content))
    end = min(len(content), start + chance.choice([1, 16, 512, 4096]))
    content[start:end] = bytes(end - start)


@pytest.fixture
def run(tmp_path) -> Path:
    saboteur.prepare(tmp_path / "run")
    return tmp_path / "run"


def damage(folder: Path, how, chance: random.Random) -> Path:
    """Change one file of the folder, for certain."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    while True:
        path = chance.choice(files)
        before = path.read_bytes()
        content = bytearray(before)
        how(content, chance)
        if content != before:
            path.write_bytes(content)
            return path


@pytest.mark.parametrize("how", [truncate, flip_a_bit, fill_with_zeros])
def test_the_one_before_is_taken_with_one_warning(run, tries, caplog, how):
    folder, chance = run / "checkpoints" / NEWEST, random.Random(how.__name__)
    shutil.copytree(folder, run / "spare")
    for _ in range(tries(100)):
        path = damage(folder, how, chance)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            found = TrainingCheckpoints(run).newest()
        assert found.step == 2 and holds_numbers(found), path
        assert len(caplog.records) == 1 and str(folder) in caplog.text
        path.write_bytes((run / "spare" / path.relative_to(folder)).read_bytes())
    assert TrainingCheckpoints(run).newest().step == 3


def test_the_training_comes_to_the_damaged_step_again(run, caplog):
    (run / "checkpoints" / NEWEST / "manifest.json").unlink()
    with TrainingCheckpoints(run, keep_last=1) as checkpoints:
        assert checkpoints.newest().step == 2
        save_numbers(checkpoints, 3)
        assert checkpoints.newest().step == 3
    assert len(caplog.records) == 1


def test_a_damaged_later_step_is_not_in_the_way_of_an_earlier_one(run):
    (run / "checkpoints" / NEWEST).rename(run / "checkpoints" / "step-000000009")
    (run / "checkpoints" / "step-000000009" / "config.json").write_text("{}")
    with TrainingCheckpoints(run, keep_last=1) as checkpoints:
        save_numbers(checkpoints, 3)
    left = {path.name for path in (run / "checkpoints").glob("step-*")}
    assert left == {"step-000000001", NEWEST}


def test_nothing_whole(run, caplog):
    for path in (run / "checkpoints").rglob("model.safetensors"):
        path.write_bytes(b"")
    checkpoints = TrainingCheckpoints(run)
    assert checkpoints.newest() is None
    assert len(caplog.records) == 3
    assert checkpoints.best() is None


def test_a_damaged_best_gives_way_to_the_next(run):
    (run / "checkpoints" / "step-000000001" / "config.json").write_text("{}")
    assert TrainingCheckpoints(run).best().name == "step-000000002"
