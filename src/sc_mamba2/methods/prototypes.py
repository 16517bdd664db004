"""A head that compares a cell with the mean cell of every type.

Between studies a classifier's boundary shifts with depth and composition; the mean of a type's cells shifts
less. N cells, F features, K classes.
"""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from sc_mamba2.methods.logistic_regression import ABSENT, LinearHead, summed_variance

_LOG_STRENGTHS = (-5.0, 8.0)  # from almost uniform to almost certain probabilities


def fit_prototypes(blocks: list[np.ndarray], classes_N: np.ndarray, n_classes: int) -> LinearHead:
    """Fit a nearest-class-mean classifier, as a linear head.

    ``logit_k = s (z . m_k - |m_k|^2 / 2)`` with z the blocks, each scaled to a variance of 1 (summed over
    its features), and m_k the mean of z over the cells of class k: the largest logit is that of the nearest
    mean. Class sizes have no influence. The strength s maximises the likelihood of the given classes
    (softmax). Rocchio 1971; Snell et al. 2017, "Prototypical Networks for Few-shot Learning".

    Parameters
    ----------
    blocks
        (N, F) each.
    classes_N
        Classes, 0 to K - 1.
    n_classes
        K. A class without cells gets the lowest other bias minus 20.
    """
    factors = [
        1 / np.sqrt(variance) if (variance := summed_variance(block)) > 0 else 0.0
        for block in blocks
    ]
    features_NF = np.concatenate(
        [block * factor for block, factor in zip(blocks, factors, strict=True)], axis=1
    )
    present = np.unique(classes_N)
    means_JF = np.stack([features_NF[classes_N == known].mean(axis=0) for known in present])
    biases_J = -np.square(means_JF).sum(axis=1) / 2
    strength = most_likely_strength(
        features_NF @ means_JF.T + biases_J, np.searchsorted(present, classes_N)
    )
    bias_K = np.full(n_classes, strength * biases_J.min() - ABSENT)
    bias_K[present] = strength * biases_J
    widths = [block.shape[1] for block in blocks]
    weights = []
    for factor, part_JF in zip(
        factors, np.split(means_JF, np.cumsum(widths)[:-1], axis=1), strict=True
    ):
        weight_FK = np.zeros((part_JF.shape[1], n_classes))
        weight_FK[:, present] = strength * factor * part_JF.T
        weights.append(weight_FK)
    return LinearHead(weights, bias_K, strength)


def most_likely_strength(scores_NJ: np.ndarray, classes_N: np.ndarray) -> float:
    """Return the factor of scores, (N, K), that maximises the likelihood of the classes (softmax)."""

    def mean_loss(log_strength: float) -> float:
        log_probability_NJ = log_softmax(np.exp(log_strength) * scores_NJ, axis=1)
        return float(-log_probability_NJ[np.arange(len(classes_N)), classes_N].mean())

    return float(np.exp(minimize_scalar(mean_loss, bounds=_LOG_STRENGTHS, method="bounded").x))
