"""Several processes: a number that is none stops all before the update; a run goes on with any number."""

import numpy as np
import pytest
from tests.faults import pretraining
from tests.training.corpora import small_job, write_store

from sc_mamba2.model import read_checkpoint
from sc_mamba2.training.job import KeepOptions, PretrainOptions
from sc_mamba2.training.journal import read_journal
from sc_mamba2.training.run import JOURNAL, MODEL

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
    return str(run / "job.json")


@pytest.fixture(scope="module")
def whole(zygote, store, tmp_path_factory):
    """Give a function that runs the job on so many ranks, each once."""
    done = {}

    def run(ranks):
        if ranks not in done:
            done[ranks] = tmp_path_factory.mktemp("whole") / str(ranks)
            job = written(store, done[ranks])
            assert zygote.run(pretraining.train, ranks, job=job)[0] == 0
        return done[ranks]

    return run


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "rank"),
    [("loss", 1), ("gradient", 0), ("loss", 0), ("gradient", 1)],
)
def test_a_number_that_is_none_on_one_rank_stops_all(zygote, store, whole, tmp_path, how, rank):
    run = tmp_path / "run"
    job = written(store, run)
    code, said = zygote.run(pretraining.train_spoiled, 2, job=job, how=how, step=3, rank=rank)
    assert code == 2 and len(said) == 2
    assert all("loss-not-finite" in text and "step 3, cells of" in text for text in said)
    if how == "loss":
        assert all(f"process {rank}: cell" in text for text in said)
    folders = sorted((run / "checkpoints").glob("step-*"))
    assert folders[-1].name.endswith("3")  # three steps are taken, the fourth is not
    assert zygote.run(pretraining.train, 2, job=job)[0] == 0
    found, expected = (read_checkpoint(each / MODEL).state for each in (run, whole(2)))
    assert all((found[name] == expected[name]).all() for name in expected)


@pytest.mark.slow
def test_a_run_goes_on_with_1_2_4_and_1_ranks(zygote, store, whole, tmp_path, full):
    expected = read_journal(whole(1) / JOURNAL)
    orders = [(1, 2, 4, 1), (2, 1, 1, 4), (4, 1, 2, 2)] if full else [(1, 2, 4, 1)]
    for number, order in enumerate(orders):
        run = tmp_path / str(number)
        job = written(store, run)
        for at, ranks in enumerate(order, start=1):
            step = 2 * at if at < len(order) else STEPS + 1
            code, _ = zygote.run(pretraining.train_to, ranks, job=job, step=step)
            assert code == (143 if at < len(order) else 0)
        found = read_journal(run / JOURNAL)
        assert found["step"].tolist() == expected["step"].tolist()
        for name in ("epoch", "tokens"):
            assert found[name].equals(expected[name])
        ratio = found["loss"].dropna().to_numpy() / expected["loss"].dropna().to_numpy()
        assert len(ratio) == STEPS and np.abs(ratio - 1).max() < 1e-9
