"""A worker under torchrun that ends after a step or spoils one: `JOB {none|stop|loss|gradient} STEP RANK`."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

from sc_mamba2.errors import UserError
from sc_mamba2.training.job import PretrainJob
from sc_mamba2.training.pretraining import Pretrainer
from sc_mamba2.training.run import pretrain

take = Pretrainer.take


def spoil(how, step, trainer, number):
    """Take a step whose loss, or one gradient, is not a number on this rank."""
    if number != step:
        return take(trainer, number)
    if how == "gradient":
        bias = trainer.objective.model.expression_decoder.fc[0].bias
        bias.register_hook(lambda gradient: gradient * float("nan"))
        return take(trainer, number)
    load = trainer.source.load

    def spoiled(cells, epoch):
        batch = load(cells, epoch)
        return replace(batch, target_BL=batch.target_BL.masked_fill(batch.mask_BL, float("nan")))

    trainer.source.load = spoiled
    return take(trainer, number)


def main(path, how, step, rank):
    """Run the job; print this rank's error."""
    mine = os.environ["RANK"] == rank
    if mine and how in ("loss", "gradient"):
        Pretrainer.take = lambda trainer, number: spoil(how, int(step), trainer, number)

    def told(taken, steps, row):
        if how == "stop" and taken == int(step):
            signal.raise_signal(signal.SIGTERM)

    job = PretrainJob.model_validate_json(Path(path).read_text())
    try:
        return pretrain(job, told).exit_code
    except UserError as error:
        (job.run / f"said-{os.environ['RANK']}").write_text(str(error))
        return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
