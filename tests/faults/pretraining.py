"""What the forks of `test_killed_pretraining` do: the real loop on a small corpus."""

from pathlib import Path

from tests.faults.zygote import say

from sc_mamba2.training.job import PretrainJob
from sc_mamba2.training.run import pretrain


def train(job: str) -> int:
    """Run a job, or go on with it; say when it begins."""
    told = PretrainJob.model_validate_json(Path(job).read_text())
    say("ready")
    return pretrain(told).exit_code
