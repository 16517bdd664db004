"""A combination does what its parts do, one after the other."""

import numpy as np

from sc_mamba2.cells import parts_of
from sc_mamba2.tasks.perturbation.baselines.training_mean import pooled_effects, training_mean
from sc_mamba2.tasks.perturbation.effects import Effects
from sc_mamba2.tasks.perturbation.params import ScoreParams


def additive(effects: Effects, name: str, context: str, params: ScoreParams) -> np.ndarray:
    """Return the sum of the parts' effects, (G,); a part that was not seen adds the training mean."""
    pooled = dict(pooled_effects(effects))
    mean_G = training_mean(effects, name, context, params)
    return np.sum([pooled.get(part, mean_G) for part in parts_of(name)], axis=0)
