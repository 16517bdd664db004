"""Several processes: a number that is none stops all before the update; a run goes on with any number."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.training.corpora import small_job, write_store

from sc_mamba2.model import read_checkpoint
from sc_mamba2.training.job import KeepOptions, PretrainOptions
from sc_mamba2.training.journal import read_journal
from sc_mamba2.training.run import JOURNAL

SPOILED = Path(__file__).parent / "spoiled.py"
STEPS = 8


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("corpus") / "store")


def written(store, run):
    """Write a job without dropout, whose loss does not depend on the number of processes."""
    job = small_job(
        store,
        run,
        shape={"preset": "micro"},
        training=PretrainOptions(steps=STEPS, batch_size=12, micro_batch_size=4, precision="fp64"),
        keep=KeepOptions(log_every=1, judge_every=100, checkpoint_every=1, keep_last=100),
    )
    run.mkdir()
    (run / "job.json").write_text(job.model_dump_json())
    return run / "job.json"


def start(job, ranks, how, step, rank=0):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(ranks), str(SPOILED), str(job), how, str(step), str(rank)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def weights(checkpoint):
    return read_checkpoint(checkpoint).state


@pytest.mark.parametrize(
    ("how", "rank"), [("loss", 1), ("gradient", 0), ("loss", 0), ("gradient", 1)]
)
def test_a_number_that_is_none_on_one_rank_stops_all(store, tmp_path, full, how, rank):
    if not full and (how, rank) not in (("loss", 1), ("gradient", 0)):
        pytest.skip("tried by `make test-faults`")
    job = written(store, tmp_path / "run")
    assert start(job, 2, how, 3, rank).returncode != 0
    said = [(job.parent / f"said-{each}").read_text() for each in (0, 1)]
    assert all("loss-not-finite" in text and "step 3, cells of" in text for text in said)
    if how == "loss":
        assert all(f"process {rank}: cell" in text for text in said)
    folders = sorted((job.parent / "checkpoints").glob("step-*"))
    assert folders[-1].name.endswith("3")  # three steps are taken, the fourth is not
    assert start(job, 2, "none", 0).returncode == 0
    whole = written(store, tmp_path / "whole")
    assert start(whole, 2, "none", 0).returncode == 0
    found, expected = (weights(each.parent / "model") for each in (job, whole))
    assert all((found[name] == expected[name]).all() for name in expected)


def test_a_run_goes_on_with_1_2_4_and_1_ranks(store, tmp_path, full):
    whole = written(store, tmp_path / "whole")
    assert start(whole, 1, "none", 0).returncode == 0
    expected = read_journal(whole.parent / JOURNAL)
    orders = [(1, 2, 4, 1), (2, 1, 1, 4), (4, 1, 2, 2)] if full else [(1, 2, 4, 1)]
    for number, order in enumerate(orders):
        job = written(store, tmp_path / str(number))
        for at, ranks in enumerate(order, start=1):
            start(job, ranks, "stop" if at < len(order) else "none", 2 * at)
        found = read_journal(job.parent / JOURNAL)
        assert found["step"].tolist() == expected["step"].tolist()
        for name in ("epoch", "tokens"):
            assert found[name].equals(expected[name])
        ratio = found["loss"].dropna().to_numpy() / expected["loss"].dropna().to_numpy()
        assert len(ratio) == STEPS and np.abs(ratio - 1).max() < 1e-9
