"""Training: fine-tuning in `loop`, pretraining in `run`, and what they share. It knows no task.

What a long training leaves behind: checkpoints that it resumes from, and a journal.
"""

from sc_mamba2.training.checkpoints import ModelContent, TrainingCheckpoints, TrainingState
from sc_mamba2.training.journal import Journal, read_journal
from sc_mamba2.training.loop import fit, mean_loss, run_over_cells
from sc_mamba2.training.machine import Stop, choose_device, seed_everything, stop_on_signals
from sc_mamba2.training.optimization import flatten_optimizer, unflatten_optimizer
from sc_mamba2.training.options import ComputeOptions, FitOptions

__all__ = [
    "ComputeOptions",
    "FitOptions",
    "Journal",
    "ModelContent",
    "Stop",
    "TrainingCheckpoints",
    "TrainingState",
    "choose_device",
    "fit",
    "flatten_optimizer",
    "mean_loss",
    "read_journal",
    "run_over_cells",
    "seed_everything",
    "stop_on_signals",
    "unflatten_optimizer",
]
