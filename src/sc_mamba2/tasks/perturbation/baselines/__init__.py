"""The simple methods beside the model, one a file: from measured effects to a predicted one.

Each is a function of the training effects, a perturbation's name, its context, and the parameters.
"""

from collections.abc import Callable

import numpy as np

from sc_mamba2.tasks.perturbation.baselines.additive import additive
from sc_mamba2.tasks.perturbation.baselines.matching_mean import matching_mean
from sc_mamba2.tasks.perturbation.baselines.no_change import no_change
from sc_mamba2.tasks.perturbation.baselines.ridge import ridge
from sc_mamba2.tasks.perturbation.baselines.training_mean import training_mean
from sc_mamba2.tasks.perturbation.effects import Effects
from sc_mamba2.tasks.perturbation.params import ScoreParams

Baseline = Callable[[Effects, str, str, ScoreParams], np.ndarray]
BASELINES: dict[str, Baseline] = {
    "no_change": no_change,
    "training_mean": training_mean,
    "matching_mean": matching_mean,
    "additive": additive,
    "ridge": ridge,
}

__all__ = ["BASELINES", "Baseline"]
