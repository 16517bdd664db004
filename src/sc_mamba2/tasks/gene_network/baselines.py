"""Scores of pairs without a model: correlation and boosting.

Legend: N cells, R regulators, T targets.
"""

import numpy as np

from sc_mamba2.methods.boosting import boosted_importances
from sc_mamba2.methods.correlation import pearson, spearman
from sc_mamba2.methods.stump_boosting import stump_importances
from sc_mamba2.tasks.gene_network.params import BaselineParams
from sc_mamba2.tasks.shared.progress import training_progress


def compare(
    x_NR: np.ndarray, y_NT: np.ndarray, pairs_RT: np.ndarray, params: BaselineParams, seed: int
) -> dict[str, np.ndarray]:
    """Score all pairs by the baselines.

    Parameters
    ----------
    x_NR, y_NT
        Expression of regulators and targets.
    pairs_RT
        The pairs of two different genes, bool.

    Returns
    -------
    dict
        (R, T) each, higher is a likelier edge: ``correlation`` (Spearman's, signed), ``pearson``
        (signed), ``boosting``, and ``boosted trees`` if requested.
    """
    scores = {
        "correlation": spearman(x_NR, y_NT),
        "pearson": pearson(x_NR, y_NT),
        "boosting": stump_importances(x_NR, y_NT, pairs_RT, params.rounds, params.rate),
    }
    if params.boosting:
        with training_progress("boosting", unit="target") as on_step:
            scores["boosted trees"] = boosted_importances(
                x_NR, y_NT, pairs_RT, params.trees, seed, on_step
            )
    return scores
