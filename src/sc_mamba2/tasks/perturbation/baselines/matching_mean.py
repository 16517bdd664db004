"""The mean of the training effects that match: the same perturbation elsewhere, or the pair's parts."""

import numpy as np

from sc_mamba2.cells import parts_of
from sc_mamba2.tasks.perturbation.baselines.training_mean import training_mean
from sc_mamba2.tasks.perturbation.effects import Effects
from sc_mamba2.tasks.perturbation.params import ScoreParams
from sc_mamba2.tasks.perturbation.split import CONTEXT, PERTURBATION


def matching_mean(effects: Effects, name: str, context: str, params: ScoreParams) -> np.ndarray:
    """Return the mean of the matching effects, (G,) (Systema, Vinas Torne 2025).

    Those of the perturbation in other contexts; else, of a combination, the mean of its parts' means;
    else those of any perturbation in this context; else the training mean.
    """
    rows = effects.rows
    same = (rows[PERTURBATION] == name).to_numpy()
    if same.any():
        return np.asarray(effects.delta_QG[same].mean(axis=0))
    parts = [(rows[PERTURBATION] == part).to_numpy() for part in parts_of(name)]
    found = [effects.delta_QG[part].mean(axis=0) for part in parts if part.any()]
    if found:
        return np.mean(found, axis=0)
    here = (rows[CONTEXT] == context).to_numpy()
    if here.any():
        return np.asarray(effects.delta_QG[here].mean(axis=0))
    return training_mean(effects, name, context, params)
