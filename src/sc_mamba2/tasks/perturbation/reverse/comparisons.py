"""Similarity of candidates to a query: by their predicted changes, and by two baselines.

For the random baseline see `metrics.retrieval`. Legend: C candidates, G genes, X features.
"""

import numpy as np

from sc_mamba2.cells import parts_of
from sc_mamba2.metrics.perturbation import de_statistic
from sc_mamba2.tasks.perturbation.effects import Effects
from sc_mamba2.tasks.perturbation.reverse.candidates import Candidates
from sc_mamba2.tasks.perturbation.reverse.states import Query
from sc_mamba2.tasks.perturbation.split import PERTURBATION

BASELINES = ("pseudobulk_neighbour", "differential_expression")


def compare(
    change_G: np.ndarray,
    error_G: np.ndarray,
    changes_CG: np.ndarray,
    candidates: Candidates,
    most: float,
) -> np.ndarray:
    """Compare a change with those of the candidates.

    Genes are scaled by their standard error: ``z_g = change_g / sqrt(error_g + median error)``.

    Parameters
    ----------
    change_G, error_G
        The query's change, and its squared error.
    changes_CG
        Changes of the candidates.
    candidates
        Source of their own genes.
    most
        Limit of the own genes' feature.

    Returns
    -------
    ndarray
        (C, X): cosine; minus the distance over the size of the change; mean z of the own genes times
        the sign in which a perturbation moves its own gene, clipped to ±`most`.
    """
    scale_G = 1 / np.sqrt(error_G + max(float(np.median(error_G)), 1e-12))
    query_G, scaled_CG = change_G * scale_G, changes_CG * scale_G
    size = max(float(np.linalg.norm(query_G)), 1e-12)
    sizes_C = np.maximum(np.linalg.norm(scaled_CG, axis=1), 1e-12)
    cosine_C = scaled_CG @ query_G / (size * sizes_C)
    distance_C = np.linalg.norm(scaled_CG - query_G, axis=1) / size
    sign = candidates.own_sign
    own_C = [sign * query_G[columns].mean() if columns else 0.0 for columns in candidates.own]
    return np.stack([cosine_C, -distance_C, np.clip(own_C, -most, most)], axis=1)


def baseline_scores(query: Query, candidates: Candidates) -> dict[str, np.ndarray]:
    """Score all candidates by the baselines, (C,) each; higher is better."""
    scores = (
        pseudobulk_scores(query.change_G, candidates.prior.effects, candidates.names),
        expression_scores(query.change_G, query.error_G, candidates.own),
    )
    return dict(zip(BASELINES, scores, strict=True))


def pseudobulk_scores(change_G: np.ndarray, effects: Effects, names: list[str]) -> np.ndarray:
    """Score candidates by minus the distance to their measured mean change, (C,).

    A pair that was not measured is the sum of its parts; other unmeasured candidates score -inf.
    """
    rows = effects.rows[PERTURBATION].to_numpy()
    measured = {name: effects.delta_QG[rows == name].mean(axis=0) for name in set(rows)}

    def distance(name: str) -> float:
        parts = (name,) if name in measured else parts_of(name, effects.whole)
        if not all(part in measured for part in parts):
            return np.inf
        return float(np.linalg.norm(np.sum([measured[p] for p in parts], axis=0) - change_G))

    return -np.array([distance(name) for name in names])


def expression_scores(
    change_G: np.ndarray, error_G: np.ndarray, own: list[list[int]]
) -> np.ndarray:
    """Score candidates by the mean absolute Welch t of their own genes, (C,).

    Candidates without a measured gene score -inf.
    """
    size_G = np.abs(de_statistic(change_G, error_G))
    return np.array([size_G[columns].mean() if columns else -np.inf for columns in own])
