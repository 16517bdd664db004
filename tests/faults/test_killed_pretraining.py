"""A pretraining that is killed at any moment goes on as if nothing had been."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from tests.training.corpora import small_job, write_store

from sc_mamba2.model import read_checkpoint
from sc_mamba2.training.journal import read_journal
from sc_mamba2.training.run import JOURNAL, MODEL


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return write_store(tmp_path_factory.mktemp("corpus") / "store")


def written(store: Path, run: Path) -> Path:
    """Write the job of a run."""
    run.mkdir(parents=True)
    path = run / "job.json"
    path.write_text(small_job(store, run).model_dump_json())
    return path


def outcome(run: Path):
    table = read_journal(run / JOURNAL)
    table = table[[name for name in table if not name.startswith("clock/")]]
    return read_checkpoint(run / MODEL).state, table


def same(one, other) -> bool:
    weights, others = one[0], other[0]
    equal = all(torch.equal(weights[name], others[name]) for name in weights)
    return weights.keys() == others.keys() and equal and one[1].equals(other[1])


@pytest.fixture(scope="module")
def unbroken(zygote, store, tmp_path_factory):
    """Give the outcome of a run that nothing happens to, and the seconds that it took."""
    run = tmp_path_factory.mktemp("unbroken") / "run"
    job = written(store, run)
    started = time.monotonic()
    assert zygote.run("pretraining", "train", job=str(job)) == (0, ["ready"])
    return outcome(run), time.monotonic() - started


def test_sigkill_at_any_moment_and_again(zygote, store, unbroken, tmp_path, full):
    expected, seconds = unbroken
    chance = random.Random(0)
    for attempt in range(200 if full else 3):
        run = tmp_path / str(attempt)
        job = written(store, run)
        for _ in range(chance.randint(1, 3)):  # also while it goes on after a kill
            child = zygote.start("pretraining", "train", job=str(job))
            child.listen()
            time.sleep(chance.uniform(0, seconds))
            with contextlib.suppress(ProcessLookupError):  # it had come to its end
                os.kill(child.pid, signal.SIGKILL)
            assert child.wait() in (-signal.SIGKILL, 0)
        assert zygote.run("pretraining", "train", job=str(job)) == (0, ["ready"])
        assert same(outcome(run), expected)


def test_one_of_two_ranks_killed(store, tmp_path, tries):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    worker = ["--nproc-per-node", "2", "-m", "sc_mamba2.training.worker"]
    chance = random.Random(1)
    outcomes = []
    for attempt in range(1 + tries(30)):
        run = tmp_path / str(attempt)
        job = str(written(store, run))
        if attempt:
            _kill_one_rank([*command, *worker, job], run, chance)
        subprocess.run([*command, *worker, job], check=True, timeout=300, capture_output=True)
        outcomes.append(outcome(run))
    assert all(same(outcomes[0], other) for other in outcomes[1:])


def _kill_one_rank(command: list[str], run: Path, chance: random.Random) -> None:
    """Start a job, kill one of its ranks once steps are taken, and wait for the launcher to end."""
    launcher = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while launcher.poll() is None and len(read_journal(run / JOURNAL)) < chance.randint(1, 6):
        time.sleep(0.02)
    ranks = psutil.Process(launcher.pid).children() if launcher.poll() is None else []
    workers = [rank for rank in ranks if "sc_mamba2.training.worker" in rank.cmdline()]
    if workers:
        chance.choice(workers).kill()
    launcher.wait(120)
