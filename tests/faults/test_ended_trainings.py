"""A training that is ended from outside, and a run that two want to write."""

import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
from tests.faults import toy
from tests.faults.toy import STEPS

from sc_mamba2.errors import UserError
from sc_mamba2.training import TrainingCheckpoints, TrainingState, read_journal


@pytest.fixture(scope="module")
def unbroken(zygote, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("unbroken")
    assert zygote.run(toy.train, run=str(run)) == (0, ["ready", STEPS])
    return run


def same_bits(one: TrainingState, other: TrainingState) -> bool:
    tensors, others = one.tensors["optimizer"], other.tensors["optimizer"]
    weights, other_weights = one.checkpoint.state, other.checkpoint.state
    return (
        (one.step, one.state, one.metric) == (other.step, other.state, other.metric)
        and tensors.keys() == others.keys()
        and all(torch.equal(tensors[name], others[name]) for name in tensors)
        and all(torch.equal(weights[name], other_weights[name]) for name in weights)
    )


def end_at_random(zygote, run: Path, number: signal.Signals, chance: random.Random):
    """Start a training and send it a signal; return its exit code and what it said."""
    child = zygote.start(toy.train, run=str(run), waits=True)
    assert child.listen() == "ready"
    time.sleep(chance.uniform(0, 0.3))
    os.kill(child.pid, number)
    return child.wait(), child.said


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_an_ended_training_goes_on_as_if_nothing_was(
    zygote, unbroken, tmp_path, tries, number, code
):
    chance = random.Random(number)
    for attempt in range(tries(20)):
        run = tmp_path / str(attempt)
        ended, said = end_at_random(zygote, run, number, chance)
        assert ended == code
        if number != signal.SIGKILL:
            newest = TrainingCheckpoints(run).newest()
            assert ["ready", newest.step] == said
        assert zygote.run(toy.train, run=str(run)) == (0, ["ready", STEPS])
        assert same_bits(TrainingCheckpoints(run).newest(), TrainingCheckpoints(unbroken).newest())
        regular = read_journal(run / "journal.jsonl").query(f"step % {toy.EVERY} == 0")
        expected = read_journal(unbroken / "journal.jsonl")
        assert (
            regular.drop(columns="seconds")
            .reset_index(drop=True)
            .equals(expected.drop(columns="seconds"))
        )


@pytest.mark.parametrize("fork", [False, True])
def test_the_second_writer_is_refused_until_the_first_is_dead(zygote, tmp_path, tries, fork):
    for attempt in range(tries(10)):
        run = tmp_path / str(attempt)
        child = zygote.start(toy.hold, run=str(run), fork=fork)
        who = child.listen()
        assert (who == child.pid) != fork
        with pytest.raises(UserError) as caught, TrainingCheckpoints(run):
            pass
        assert caught.value.rule == "run-locked"
        assert TrainingCheckpoints(run).newest() is None
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        with TrainingCheckpoints(run):
            pass
        if fork:
            os.kill(who, signal.SIGKILL)
