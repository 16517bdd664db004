"""Training: the loop, the schedule, determinism, and running a model over cells. It knows no task."""

from sc_mamba2.training.determinism import choose_device, seed_everything
from sc_mamba2.training.infer import run_over_cells
from sc_mamba2.training.loop import fit, mean_loss
from sc_mamba2.training.options import ComputeOptions, FitOptions

__all__ = [
    "ComputeOptions",
    "FitOptions",
    "choose_device",
    "fit",
    "mean_loss",
    "run_over_cells",
    "seed_everything",
]
