"""Tools in scanpy's style: each task is a function that adds its results to cells in memory.

They call the functions of the pipeline nodes and contain no algorithms of their own. Scores, baselines,
ablations and reports are left to the commands; figures are in `pl`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sc_mamba2.tasks.table import TASKS

if TYPE_CHECKING:
    from sc_mamba2.tl.annotation import annotate
    from sc_mamba2.tl.batch_correction import integrate
    from sc_mamba2.tl.denoising import denoise
    from sc_mamba2.tl.embedding import embed
    from sc_mamba2.tl.gene_network import network
    from sc_mamba2.tl.multiomics import multiome
    from sc_mamba2.tl.perturbation import perturb
    from sc_mamba2.tl.reverse_perturbation import reverse

__all__ = ["annotate", "denoise", "embed", "integrate", "multiome", "network", "perturb", "reverse"]


def __getattr__(name: str) -> Any:
    """Import a task's tool on first access."""
    if name not in TASKS:
        raise AttributeError(f"module 'sc_mamba2.tl' has no attribute '{name}'")
    return getattr(import_module(f"sc_mamba2.tl.{TASKS[name].pipeline}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *TASKS})
