"""A perturbed cell is a control cell."""

import numpy as np

from sc_mamba2.tasks.perturbation.effects import Effects
from sc_mamba2.tasks.perturbation.params import ScoreParams


def no_change(effects: Effects, name: str, context: str, params: ScoreParams) -> np.ndarray:
    """Return zeros, (G,)."""
    return np.zeros(len(effects.genes))
