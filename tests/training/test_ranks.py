"""Two processes are one: the same cells in the same order, the same loss, any number on a resume."""

import subprocess
import sys

import numpy as np
import pytest
from tests.training.corpora import small_job, write_store

from sc_mamba2.training.job import KeepOptions, PretrainOptions
from sc_mamba2.training.journal import read_journal
from sc_mamba2.training.run import JOURNAL, pretrain


def train(job, ranks):
    """Run a job in this process, or in several that `torchrun` starts."""
    if ranks == 1:
        pretrain(job)
    else:
        job.run.mkdir(parents=True, exist_ok=True)
        (job.run / "job.json").write_text(job.model_dump_json())
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        worker = ["--nproc-per-node", str(ranks), "-m", "sc_mamba2.training.worker"]
        subprocess.run([*launcher, *worker, str(job.run / "job.json")], check=True, timeout=300)
    return read_journal(job.run / JOURNAL)


def job_of(store, run, precision, steps, sharded=False):
    return small_job(
        store,
        run,
        shape={"preset": "micro"},
        training=PretrainOptions(
            steps=steps, batch_size=9, micro_batch_size=4, precision=precision, sharded=sharded
        ),
        keep=KeepOptions(log_every=1, judge_every=5, checkpoint_every=100),
    )


@pytest.mark.parametrize(
    ("precision", "steps", "sharded", "bound"),
    [("fp64", 20, False, 1e-9), ("fp32", 5, False, 1e-5), ("fp64", 6, True, 1e-9)],
)
def test_two_ranks_are_one(tmp_path, precision, steps, sharded, bound):
    store = write_store(tmp_path / "store")
    one = train(job_of(store, tmp_path / "one", precision, steps), 1)
    two = train(job_of(store, tmp_path / "two", precision, steps, sharded), 2)
    for name in ("epoch", "tokens"):
        assert one[name].equals(two[name])
    for name in ("loss", "gradient_norm", "held_out/loss", "held_out/model"):
        found, expected = two[name].dropna().to_numpy(), one[name].dropna().to_numpy()
        assert len(found) == len(expected) > 0
        assert np.abs(found / expected - 1).max() < bound, name


def test_a_run_of_one_goes_on_with_two(tmp_path):
    store = write_store(tmp_path / "store")
    whole = train(job_of(store, tmp_path / "whole", "fp64", 8), 1)
    job = job_of(store, tmp_path / "broken", "fp64", 8)
    keep = KeepOptions(log_every=1, judge_every=5, checkpoint_every=3)
    job = job.model_copy(update={"keep": keep})

    class Killed(BaseException):
        """Stands for a process that is gone."""

    def kill(taken, steps, row):
        if taken == 5:
            raise Killed

    with pytest.raises(Killed):
        pretrain(job, kill)
    found, expected = train(job, 2)["loss"].dropna(), whole["loss"].dropna()
    assert np.abs(found.to_numpy() / expected.to_numpy() - 1).max() < 1e-9
