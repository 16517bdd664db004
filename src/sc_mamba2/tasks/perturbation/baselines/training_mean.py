"""Every perturbation does what the mean training perturbation does."""

import numpy as np

from sc_mamba2.tasks.perturbation.effects import CELLS, Effects
from sc_mamba2.tasks.perturbation.params import ScoreParams
from sc_mamba2.tasks.perturbation.split import PERTURBATION


def training_mean(effects: Effects, name: str, context: str, params: ScoreParams) -> np.ndarray:
    """Return the mean over training perturbations, each the mean of its cells over contexts, (G,).

    The baseline that unseen perturbations are hardest won from (Ahlmann-Eltze 2025; Csendes 2025).
    """
    return np.mean([pooled for _, pooled in pooled_effects(effects)], axis=0)


def pooled_effects(effects: Effects) -> list[tuple[str, np.ndarray]]:
    """Return the effect of each perturbation over its contexts, weighed by cells, by name."""
    groups = effects.rows.groupby(PERTURBATION).indices
    cells_Q = effects.rows[CELLS].to_numpy(dtype=float)
    return [
        (str(name), np.average(effects.delta_QG[rows], axis=0, weights=cells_Q[rows]))
        for name, rows in sorted(groups.items())
    ]
