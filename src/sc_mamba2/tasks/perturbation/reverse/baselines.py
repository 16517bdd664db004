"""The simple rankings beside the model: measured profiles, and the candidates' own genes.

A ranking by chance needs no code: see `metrics.retrieval`. C candidates, G genes.
"""

import numpy as np

from sc_mamba2.metrics.perturbation import de_statistic
from sc_mamba2.tasks.perturbation.effects import Effects
from sc_mamba2.tasks.perturbation.reverse.candidates import Offer
from sc_mamba2.tasks.perturbation.reverse.states import Query
from sc_mamba2.tasks.perturbation.split import PERTURBATION

BASELINES = ("pseudobulk_neighbour", "differential_expression")


def baseline_scores(query: Query, offer: Offer) -> dict[str, np.ndarray]:
    """Score all candidates by the simple ways, (C,) each; higher is nearer."""
    found = (
        pseudobulk_scores(query.change_G, offer.start.effects, offer.names),
        expression_scores(query.change_G, query.error_G, offer.own),
    )
    return dict(zip(BASELINES, found, strict=True))


def pseudobulk_scores(change_G: np.ndarray, effects: Effects, names: list[str]) -> np.ndarray:
    """Score candidates by minus the distance of their measured mean change, (C,).

    A pair that was not measured is the sum of its parts; what was not measured stands last.
    """
    rows = effects.rows[PERTURBATION].to_numpy()
    measured = {name: effects.delta_QG[rows == name].mean(axis=0) for name in set(rows)}

    def distance(name: str) -> float:
        if name in measured:
            return float(np.linalg.norm(measured[name] - change_G))
        parts = name.split("+")
        if not all(part in measured for part in parts):
            return np.inf
        return float(np.linalg.norm(np.sum([measured[p] for p in parts], axis=0) - change_G))

    return -np.array([distance(name) for name in names])


def expression_scores(
    change_G: np.ndarray, error_G: np.ndarray, own: list[list[int]]
) -> np.ndarray:
    """Score candidates by how much their own genes differ between the states, (C,).

    The mean absolute Welch t of the candidate's genes; one that is not measured stands last.
    """
    size_G = np.abs(de_statistic(change_G, error_G))
    return np.array([size_G[columns].mean() if columns else -np.inf for columns in own])
