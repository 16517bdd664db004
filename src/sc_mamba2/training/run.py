"""Run a pretraining job: build or resume, train, evaluate, write checkpoints, stop or finish."""

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from sc_mamba2.errors import UserError
from sc_mamba2.model import PretrainedModel, write_checkpoint
from sc_mamba2.tokens import TokenStore
from sc_mamba2.training.checkpoints import ModelContent, TrainingCheckpoints, TrainingState
from sc_mamba2.training.job import PretrainJob
from sc_mamba2.training.journal import Journal
from sc_mamba2.training.machine import (
    Stop,
    choose_device,
    one_thread,
    peak_bytes,
    seed_everything,
    stop_on_signals,
)
from sc_mamba2.training.pretraining import Judged, Pretrainer, Step, load_shared, shared_state
from sc_mamba2.training.ranks import Ranks, joined_ranks
from sc_mamba2.training.recipes import RECIPES

JOURNAL, MODEL = "journal.jsonl", "model"


@dataclass(frozen=True)
class Finished:
    """Result of a pretraining.

    Attributes
    ----------
    model
        Folder of the final model; `None` if the training was stopped before its end.
    best
        Checkpoint with the lowest held-out loss, if any.
    journal
        File of the journal.
    exit_code
        0 at the end; 143 or 130 after a signal, with a checkpoint to resume from.
    """

    model: Path | None
    best: Path | None
    journal: Path
    exit_code: int


OnStep = Callable[[int, int, Step], None]


def pretrain(job: PretrainJob, on_step: OnStep = lambda step, steps, row: None) -> Finished:
    """Run a pretraining, or resume it if its run folder has a checkpoint.

    Under `torchrun` every process calls it with the same job. The first one calls `on_step` after
    every step, with the steps taken, the total number of steps and the `Step`.

    Raises
    ------
    UserError
        Rule `run-of-another-job` if the run folder belongs to another training, `ranks-apart` if processes
        found different checkpoints; rules of the store, the checkpoints and the loop.
    """
    seed_everything(job.compute.seed)
    with (
        one_thread(job.compute.deterministic),
        joined_ranks(choose_device(job.compute.device)) as ranks,
        stop_on_signals() as stop,
    ):
        return _Run(job, ranks, stop, on_step).run_to_end()


def try_steps(job: PretrainJob, count: int, on_step: OnStep) -> PretrainedModel:
    """Take the first steps of a pretraining on one process, writing nothing, and return the model."""
    seed_everything(job.compute.seed)
    with joined_ranks(choose_device(job.compute.device)) as ranks, stop_on_signals() as stop:
        run = _Run(job, ranks, stop, on_step)
        for step in range(min(count, job.training.steps)):
            on_step(step + 1, job.training.steps, run.trainer.take(step))
        return run.model


class _Run:
    """One process's part of a pretraining."""

    def __init__(self, job: PretrainJob, ranks: Ranks, stop: Stop, on_step: OnStep) -> None:
        self.job, self.ranks, self.stop, self.on_step = job, ranks, stop, on_step
        store = TokenStore.open(job.store)
        self.identity = job.identity(store.manifest.sha256)
        self.recipe = RECIPES[job.training.objective](job, store, ranks)
        self.model = self.recipe.new_model()
        objective, source = self.recipe.objective(self.model), self.recipe.source
        self.trainer = Pretrainer(objective, source, job.training, job.compute.seed, ranks)

    def run_to_end(self) -> Finished:
        """Go from the newest checkpoint to the last step, or to a signal."""
        job, steps = self.job, self.job.training.steps
        checkpoints = TrainingCheckpoints(job.run, job.keep.keep_last)
        with contextlib.ExitStack() as stack:
            if self.ranks.first:
                stack.enter_context(checkpoints)
            self.ranks.wait()
            newest = checkpoints.newest()
            start = self._resume(newest) if newest else 0
            self._check_one_start(start)
            self.ranks.wait()
            journal = None
            if self.ranks.first:
                board = job.run / "tensorboard" if job.keep.tensorboard else None
                journal = stack.enter_context(Journal(job.run / JOURNAL, start, board))
            since, tokens = time.perf_counter(), 0
            saved = start if newest else -1
            for step in range(start, steps):
                row = self.trainer.take(step)
                taken, tokens = step + 1, tokens + row.tokens
                if self.ranks.first:
                    self.on_step(taken, steps, row)
                if journal is not None and (taken % job.keep.log_every == 0 or taken == steps):
                    pace = tokens / (time.perf_counter() - since)
                    journal.write(taken, **_measured(row, pace, steps, since, step - start + 1))
                judged = self._judge(taken, journal)
                # If any process was asked to stop, all stop after the same step.
                stopped = bool(self.ranks.count(self.stop.requested))
                if taken % job.keep.checkpoint_every == 0 or taken == steps or stopped:
                    self._save(checkpoints, taken, judged)
                    saved = taken
                if stopped and taken < steps:
                    break
            best = checkpoints.best()
            if saved < steps:
                return Finished(None, best, job.run / JOURNAL, self.stop.exit_code)
            return Finished(self._final_model(), best, job.run / JOURNAL, 0)

    def _check_one_start(self, start: int) -> None:
        """Raise if processes found different checkpoints, so do not share the run folder."""
        starts = self.ranks.gather(start)
        if len(set(starts)) > 1:
            raise UserError(
                "ranks-apart",
                found=f"processes that would resume from different steps {sorted(set(starts))}",
                expected="one run folder shared by all processes",
                mend="put the run on a file system that all machines share, and start again",
            )

    def _resume(self, found: TrainingState) -> int:
        if found.state["identity"] != self.identity:
            raise UserError(
                "run-of-another-job",
                found=f"checkpoints of another training in '{self.job.run}'",
                expected="the same corpus, shape, options and seed",
                mend="use the options it was started with, including the number of steps; or start "
                "in another folder: --params pretraining.launch.run=FOLDER",
            )
        load_shared(self.trainer, found.checkpoint.state, found.tensors, found.state["optimizer"])
        return found.step

    def _save(self, checkpoints: TrainingCheckpoints, taken: int, judged: Judged | None) -> None:
        state, tensors, table = shared_state(self.trainer)
        if self.ranks.first:
            checkpoints.save(
                taken,
                model=ModelContent.of(self.model, state),
                tensors=tensors,
                state={"identity": self.identity, "optimizer": table},
                metric=None if judged is None else judged.loss,
            )
        self.ranks.wait()

    def _judge(self, taken: int, journal: Journal | None) -> Judged | None:
        keep, steps = self.job.keep, self.job.training.steps
        if not self.recipe.judges or (taken % keep.judge_every and taken != steps):
            return None
        with self.trainer.average.in_place_of(self.model):
            found = self.recipe.judge(self.trainer.objective, self.ranks)
        if journal is not None:
            named = {"loss": found.loss, **found.named}
            journal.write(taken, **{f"held_out/{name}": value for name, value in named.items()})
        return found

    def _final_model(self) -> Path:
        folder = self.job.run / MODEL
        state, _, _ = shared_state(self.trainer)
        if self.ranks.first:
            state |= self.trainer.average.state
            write_checkpoint(folder, **ModelContent.of(self.model, state)._asdict(), overwrite=True)
        self.ranks.wait()
        return folder


def _measured(row: Step, pace: float, steps: int, since: float, here: int) -> dict[str, float]:
    """Return a step's journal entries; values under `clock/` differ from run to run."""
    spent = time.perf_counter() - since
    left = spent / here * (steps - row.step - 1)
    parts = {f"loss/{name}": value for name, value in row.parts.items()}
    return parts | {
        "loss": row.loss,
        "gradient_norm": row.gradient_norm,
        "learning_rate": row.learning_rate,
        "epoch": row.epoch,
        "tokens": row.tokens,
        "clock/tokens_a_second": pace,
        "clock/peak_gib": peak_bytes(torch.device("cpu")) / 2**30,
        "clock/seconds_left": left if math.isfinite(left) else 0.0,
    }
