"""A pretraining that is killed at any moment goes on as if nothing had been."""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from tests.faults import pretraining
from tests.training.corpora import small_job, write_store

from sc_mamba2.model import read_checkpoint
from sc_mamba2.training.job import KeepOptions
from sc_mamba2.training.journal import read_journal
from sc_mamba2.training.run import JOURNAL, MODEL


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    return write_store(tmp_path_factory.mktemp("corpus") / "store")


def written(store: Path, run: Path) -> str:
    """Write the job of a run."""
    run.mkdir(parents=True)
    path = run / "job.json"
    keep = KeepOptions(log_every=1, judge_every=4, checkpoint_every=3, keep_last=2)
    path.write_text(small_job(store, run, keep=keep).model_dump_json())
    return str(path)


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
    """Give the outcome of a run that nothing happens to, and the seconds that the quicker of two took."""
    seconds = []
    for name in ("first", "second"):
        run = tmp_path_factory.mktemp("unbroken") / name
        job = written(store, run)
        started = time.monotonic()
        assert zygote.run(pretraining.train, job=job)[0] == 0
        seconds.append(time.monotonic() - started)
    return outcome(run), min(seconds)


def test_sigkill_at_any_moment_and_again(zygote, store, unbroken, tmp_path, tries):
    expected, seconds = unbroken
    chance = random.Random(0)
    for attempt in range(tries(200)):
        run = tmp_path / str(attempt)
        job = written(store, run)
        for _ in range(chance.randint(1, 3)):  # also while it goes on after a kill
            child = zygote.start(pretraining.train, job=job)
            child.listen()
            time.sleep(chance.uniform(0, seconds))
            with contextlib.suppress(ProcessLookupError):  # it had come to its end
                os.kill(child.pid, signal.SIGKILL)
            assert child.wait() in (-signal.SIGKILL, 0)
        assert zygote.run(pretraining.train, job=job)[0] == 0
        assert same(outcome(run), expected)


@pytest.mark.slow
def test_one_of_two_ranks_killed(zygote, store, tmp_path, tries):
    chance = random.Random(1)
    outcomes = []
    for attempt in range(1 + tries(30)):
        run = tmp_path / str(attempt)
        job = written(store, run)
        if attempt:
            child = zygote.start(pretraining.train, ranks=2, job=job)
            pids = [child.listen(), child.listen()]
            taken = chance.randint(1, 6)
            while len(read_journal(run / JOURNAL)) < taken:
                time.sleep(0.02)
            os.kill(chance.choice(pids), signal.SIGKILL)
            assert child.wait() != 0
        assert zygote.run(pretraining.train, ranks=2, job=job)[0] == 0
        outcomes.append(outcome(run))
    assert all(same(outcomes[0], other) for other in outcomes[1:])
