"""What the forks of tests of pretraining do: the real loop on a small corpus, spoiled or stopped."""

import os
import signal
from dataclasses import replace
from pathlib import Path

from tests.zygote import say

from sc_mamba2.errors import UserError
from sc_mamba2.training.job import PretrainJob
from sc_mamba2.training.pretraining import Pretrainer
from sc_mamba2.training.run import pretrain

_take = Pretrainer.take


def train(job: str) -> int:
    """Run a job, or go on with it; say which process it is when it begins."""
    told = PretrainJob.model_validate_json(Path(job).read_text())
    say(os.getpid())
    return pretrain(told).exit_code


def train_to(job: str, step: int) -> int:
    """Run a job that is asked to stop after a step."""

    def stop(taken, steps, row):
        if taken == step:
            signal.raise_signal(signal.SIGTERM)

    return pretrain(PretrainJob.model_validate_json(Path(job).read_text()), stop).exit_code


def train_spoiled(job: str, how: str, step: int, rank: int) -> int:
    """Run a job in which the loss or one gradient of a rank is no number at a step; say the refusal."""
    if os.environ["RANK"] == str(rank):
        Pretrainer.take = lambda trainer, number: (
            _spoil(how, trainer, number) if number == step else _take(trainer, number)
        )
    try:
        return pretrain(PretrainJob.model_validate_json(Path(job).read_text())).exit_code
    except UserError as error:
        say(str(error))
        return 2


def _spoil(how, trainer, number):
    if how == "gradient":
        bias = trainer.objective.model.expression_decoder.fc[0].bias
        bias.register_hook(lambda gradient: gradient * float("nan"))
        return _take(trainer, number)
    load = trainer.source.load

    def spoiled(cells, epoch):
        batch = load(cells, epoch)
        return replace(batch, target_BL=batch.target_BL.masked_fill(batch.mask_BL, float("nan")))

    trainer.source.load = spoiled
    return _take(trainer, number)
