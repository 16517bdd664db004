"""A pretraining as a whole: repeatable, resumable at any step to the bit, judged, stopped."""

import os
import signal

import pytest
import torch
from tests.training.corpora import objective_of, small_job, write_store

from sc_mamba2.errors import UserError
from sc_mamba2.model import PretrainedModel
from sc_mamba2.model.saving import read_checkpoint
from sc_mamba2.training.job import PretrainJob
from sc_mamba2.training.journal import read_journal
from sc_mamba2.training.run import pretrain


@pytest.fixture(scope="module", params=["bins", pytest.param("molecules", marks=pytest.mark.slow)])
def store(request, tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("corpus") / "store", request.param)


@pytest.fixture(scope="module")
def unbroken(store, tmp_path_factory):
    return pretrain(small_job(store, tmp_path_factory.mktemp("unbroken") / "run"))


def weights(folder):
    return read_checkpoint(folder).state


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def without_clock(path):
    table = read_journal(path)
    return table[[name for name in table if not name.startswith("clock/")]]


def test_it_gives_a_model_that_can_be_loaded_and_called(unbroken):
    model = PretrainedModel.from_pretrained(unbroken.model)
    vocabulary = model.tokenizer.vocabulary
    ids = torch.tensor([[vocabulary.cls_id, *vocabulary.gene_rows[:5].tolist()]])
    outputs = model(ids, torch.ones(1, 6))
    assert torch.isfinite(outputs.hidden_BLD).all()
    assert vocabulary.size < 100  # the genes that were seen, not all of the store's
    assert "study" not in model.origin and model.origin["held out"] == "d"


def test_twice_is_the_same_to_the_bit(store, unbroken, tmp_path):
    again = pretrain(small_job(store, tmp_path / "run"))
    assert same(weights(again.model), weights(unbroken.model))
    assert without_clock(again.journal).equals(without_clock(unbroken.journal))


class Killed(BaseException):
    """Stands for a process that is gone: nothing is written after it."""


# Before the first checkpoint, right after it, and at the end; and after every other step.
@pytest.mark.parametrize(
    "after", [2, 3, 8, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 4, 5, 6, 7))]
)
def test_killed_after_any_step_and_resumed_it_is_the_unbroken_run(store, unbroken, tmp_path, after):
    job = small_job(store, tmp_path / "run")

    def kill(taken, steps, row):
        if taken == after:
            raise Killed

    with pytest.raises(Killed):
        pretrain(job, kill)
    resumed = pretrain(job)
    assert same(weights(resumed.model), weights(unbroken.model))
    assert without_clock(resumed.journal).equals(without_clock(unbroken.journal))


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGTERM, 143), pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow)],
)
def test_a_signal_writes_a_checkpoint_within_a_step(store, unbroken, tmp_path, sent, code):
    job = small_job(store, tmp_path / "run")

    def ask(taken, steps, row):
        if taken == 4:
            os.kill(os.getpid(), sent)

    stopped = pretrain(job, ask)
    assert stopped.exit_code == code and stopped.model is None
    assert (tmp_path / "run" / "checkpoints" / "step-000000004").is_dir()
    assert same(weights(pretrain(job).model), weights(unbroken.model))


def test_a_finished_run_is_not_run_again(store, unbroken):
    def never(taken, steps, row):
        raise AssertionError

    again = pretrain(small_job(store, unbroken.journal.parent), never)
    assert same(weights(again.model), weights(unbroken.model))


def test_a_run_folder_is_of_one_training(store, unbroken):
    job = small_job(store, unbroken.journal.parent, held_out={"values": ("c",)})
    with pytest.raises(UserError, match="run-of-another-job"):
        pretrain(job)


def test_micro_batches_change_nothing_but_rounding(store, unbroken, tmp_path):
    job = small_job(store, tmp_path / "run", shape={"preset": "micro"})
    training = job.training.model_copy(update={"micro_batch_size": 12})
    losses = []
    for run, options in (("one", job.training), ("other", training)):
        found = pretrain(job.model_copy(update={"training": options, "run": tmp_path / run}))
        losses.append(read_journal(found.journal)["loss"].dropna())
    assert (losses[0] - losses[1]).abs().max() < 1e-5


def test_held_out_cells_are_judged_beside_the_gene_means(store, unbroken):
    table = read_journal(unbroken.journal)
    judged = table.dropna(subset=["held_out/loss"])
    assert judged["step"].tolist() == [4, 8]
    molecules = objective_of(store) == "molecules"
    beside = ["means_posterior", "means_posterior/d"] if molecules else ["gene_mean"]
    assert all((judged[f"held_out/{name}"] > 0).all() for name in beside)
    assert unbroken.best is not None


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"held_out": {"values": ("nowhere",)}}, "held-out"),
        ({"held_out": {"column": "sudy", "values": ("a",)}}, "corpus-column"),
        ({"held_out": {"values": ("a", "b", "c", "d")}}, "held-out"),
    ],
)
def test_what_cannot_be_held_out_is_refused(store, tmp_path, changes, rule):
    with pytest.raises(UserError, match=rule):
        pretrain(small_job(store, tmp_path / "run", **changes))


def test_a_job_goes_through_json(store, tmp_path):
    job = small_job(store, tmp_path)
    assert PretrainJob.model_validate_json(job.model_dump_json()) == job


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"masks": {"min_ratio": 0, "max_ratio": 0, "zero_share": 0}}, "nothing is masked"),
        ({"masks": {"channel": "values"}}, "must be bins"),
        ({"shape": {"preset": "upstream-625m"}}, "batch norm"),
        ({"training": {"sharded": True, "average_decay": 0.9}}, "whole weights"),
        ({"sampling": {"column": "study"}}, "goes together"),
    ],
)
def test_options_that_do_not_go_together_are_refused(store, tmp_path, changes, word):
    with pytest.raises(UserError, match=rf"pretraining-options.*{word}"):
        PretrainJob.build(**{"store": store, "run": tmp_path, **changes})


def test_weighted_studies_train_and_held_out_cells_are_judged_as_they_are(store, tmp_path):
    sampling = {"column": "study", "shares": {"a": 1.0, "b": 2.0}}
    finished = pretrain(small_job(store, tmp_path / "run", sampling=sampling))
    assert read_journal(finished.journal)["held_out/loss"].notna().sum() == 2


def test_molecules_of_tokens_that_are_no_counts_are_refused(store, tmp_path):
    if objective_of(store) == "molecules":
        pytest.skip("these tokens are counts")
    with pytest.raises(UserError, match=r"corpus-bins.*pretraining.corpus.bins"):
        pretrain(small_job(store, tmp_path / "run", training={"objective": "molecules"}))


def test_half_precision_projections_train(store, tmp_path):
    job = small_job(store, tmp_path / "run")
    half = job.training.model_copy(update={"precision": "bf16"})
    losses = read_journal(pretrain(job.model_copy(update={"training": half})).journal)["loss"]
    assert losses.dropna().iloc[-1] < losses.iloc[0]
