"""Scores of pairs without a model: correlation, and boosted trees.

Legend: N cells, R regulators, T targets.
"""

import numpy as np

from sc_mamba2.methods.boosting import boosted_importances
from sc_mamba2.methods.correlation import pearson, spearman
from sc_mamba2.tasks.gene_network.params import BaselineParams
from sc_mamba2.tasks.shared.progress import training_progress


def compare(
    x_NR: np.ndarray, y_NT: np.ndarray, pairs_RT: np.ndarray, params: BaselineParams, seed: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Score all pairs by the simple methods.

    Parameters
    ----------
    x_NR, y_NT
        Expression of regulators and targets.
    pairs_RT
        The pairs of two different genes, bool.
    params
        Whether there is boosting, and its trees.
    seed
        Of boosting.

    Returns
    -------
    correlation_RT
        Spearman's, signed.
    scores
        (R, T) each, higher is likelier an edge: ``correlation`` (Spearman's), ``pearson``, and
        ``boosting`` where it is wanted.
    """
    correlation_RT = spearman(x_NR, y_NT)
    scores = {"correlation": np.abs(correlation_RT), "pearson": np.abs(pearson(x_NR, y_NT))}
    if params.boosting:
        with training_progress("boosting", unit="target") as on_step:
            scores["boosting"] = boosted_importances(
                x_NR, y_NT, pairs_RT, params.trees, seed, on_step
            )
    return correlation_RT, scores
