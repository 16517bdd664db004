"""One process of a pretraining under `torchrun`: `python -m sc_mamba2.training.worker JOB`.

It only needs torch, numpy, scipy, pandas, pyarrow, safetensors, pydantic and filelock, so it runs on a
minimal machine.
"""

import logging
import os
import sys
from pathlib import Path

from sc_mamba2.errors import UserError
from sc_mamba2.training.job import PretrainJob
from sc_mamba2.training.pretraining import Step
from sc_mamba2.training.run import pretrain

_log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Run the job in a JSON file; return the exit code."""
    first = os.environ.get("RANK", "0") == "0"
    logging.basicConfig(level=logging.INFO if first else logging.ERROR, format="%(message)s")
    job = PretrainJob.model_validate_json(Path(arguments[0]).read_text(encoding="utf-8"))

    def on_step(taken: int, steps: int, row: Step) -> None:
        if taken % job.keep.log_every == 0 or taken == steps:
            _log.info("step %d of %d, loss %.4f", taken, steps, row.loss)

    try:
        return pretrain(job, on_step).exit_code
    except UserError as error:
        _log.error("process %s: %s", os.environ.get("RANK", "0"), error)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
