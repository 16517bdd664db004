"""Two processes are one: the same cells in the same order, the same loss, any number on a resume."""

import subprocess
import sys

import numpy as np
import pytest
from tests.faults import pretraining
from tests.training.corpora import objective_of, small_job, write_store

from sc_mamba2.training.job import KeepOptions, PretrainOptions
from sc_mamba2.training.journal import read_journal
from sc_mamba2.training.run import JOURNAL, pretrain

# `make test` has `tests/faults/test_ranks.py`: any number of processes gives the same loss.
pytestmark = pytest.mark.slow
STEPS = 10
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


@pytest.fixture(scope="module", params=["bins", "molecules"])
def store(request, tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("corpus") / "store", request.param)


def job_of(store, run, precision="fp64", sharded=False, checkpoint_every=100):
    job = small_job(
        store,
        run,
        shape={"preset": "micro"},
        training=PretrainOptions(
            objective=objective_of(store),
            steps=STEPS,
            batch_size=9,
            micro_batch_size=4,
            precision=precision,
            sharded=sharded,
        ),
        keep=KeepOptions(log_every=1, judge_every=5, checkpoint_every=checkpoint_every),
    )
    run.mkdir()
    (run / "job.json").write_text(job.model_dump_json())
    return job


@pytest.fixture(scope="module")
def alone(store, tmp_path_factory):
    """Give a function that trains in this process, once each precision; it returns the journal."""
    journals = {}

    def run(precision):
        if precision not in journals:
            job = job_of(store, tmp_path_factory.mktemp("one") / "run", precision)
            pretrain(job)
            journals[precision] = read_journal(job.run / JOURNAL)
        return journals[precision]

    return run


@pytest.mark.parametrize(
    ("precision", "sharded", "torchrun", "bound"),
    [("fp64", False, True, 1e-9), ("fp32", False, False, 1e-5), ("fp64", True, False, 1e-9)],
)
def test_two_ranks_are_one(zygote, store, alone, tmp_path, precision, sharded, torchrun, bound):
    job = job_of(store, tmp_path / "run", precision, sharded)
    path = str(job.run / "job.json")
    if torchrun:
        command = [*TORCHRUN, "2", "-m", "sc_mamba2.training.worker", path]
        subprocess.run(command, check=True, timeout=300)
    else:
        assert zygote.run(pretraining.train, 2, job=path)[0] == 0
    one, two = alone(precision), read_journal(job.run / JOURNAL)
    for name in ("epoch", "tokens"):
        assert one[name].equals(two[name])
    judged = "held_out/posterior" if objective_of(store) == "molecules" else "held_out/model"
    for name in ("loss", "gradient_norm", "held_out/loss", judged):
        found, expected = two[name].dropna().to_numpy(), one[name].dropna().to_numpy()
        assert len(found) == len(expected) > 0
        assert np.abs(found / expected - 1).max() < bound, name


def test_a_run_of_one_goes_on_with_two(zygote, store, alone, tmp_path):
    job = job_of(store, tmp_path / "run", checkpoint_every=3)

    class Killed(BaseException):
        """Stands for a process that is gone."""

    def kill(taken, steps, row):
        if taken == 5:
            raise Killed

    with pytest.raises(Killed):
        pretrain(job, kill)
    assert zygote.run(pretraining.train, 2, job=str(job.run / "job.json"))[0] == 0
    found, expected = (
        table["loss"].dropna().to_numpy()
        for table in (read_journal(job.run / JOURNAL), alone("fp64"))
    )
    assert np.abs(found / expected - 1).max() < 1e-9
