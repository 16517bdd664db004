"""Weights of several classifiers, chosen without labels of the cells to classify.

Two criteria: cells of one cluster of the query should get the same class, and classes predicted for
held-out batches of labelled cells should be correct. Both score mixtures, not single classifiers, so that
several with the same errors do not outvote one without them. Legend: E experts, N cells, K classes, S
mixtures.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import softmax, xlogy
from sklearn.metrics import cohen_kappa_score

_SPREAD = 0.5  # of the Dirichlet: from almost one expert to almost equal weights


class LeftOut(NamedTuple):
    """Labelled cells predicted by experts that did not see them.

    Attributes
    ----------
    predicted_EMK
        Probabilities by expert.
    classes_M
        The true classes.
    scale
        Difference of accuracy that counts (e-fold), above 0.
    """

    predicted_EMK: np.ndarray
    classes_M: np.ndarray
    scale: float


def weight_experts(
    probability_ENK: np.ndarray,
    clusterings: Sequence[np.ndarray],
    structure_scale: float,
    left_out: Sequence[LeftOut],
    shared_error_power: float,
    mixtures: int,
    seed: int,
) -> np.ndarray:
    """Return the weight of every expert, (E,), at least 0, with sum 1.

    Mixtures w_s are drawn around initial weights that agreeing experts share (`unique_shares`). The result is
    their mean under ``P(s) ~ exp(I_s / structure_scale + sum_k A_ks / scale_k)``: I is the normalised mutual
    information of the mixture's predictions with the clusters, averaged over the clusterings; A_k is its
    accuracy on the k-th set of left-out cells.

    Parameters
    ----------
    probability_ENK
        Predicted probabilities of the cells to classify.
    clusterings
        (N,) cluster numbers each; may be empty.
    structure_scale
        Relevant difference of I, above 0.
    left_out
        Sets of left-out cells; may be empty.
    shared_error_power
        Power of the agreement between experts, see `unique_shares`.
    mixtures
        Number of random mixtures; equal weights and each single expert are added.
    seed
        Seed of the mixtures.
    """
    start_E = unique_shares(probability_ENK.argmax(axis=2), shared_error_power)
    if not clusterings and not left_out:
        return start_E
    experts = len(start_E)
    drawn_SE = np.random.default_rng(seed).dirichlet(np.full(experts, _SPREAD), mixtures)
    weights_SE = np.concatenate([np.ones((1, experts)), drawn_SE]) * start_E
    weights_SE /= weights_SE.sum(axis=1, keepdims=True)
    weights_SE = np.concatenate([weights_SE, np.eye(experts)])
    evidence_S = np.zeros(len(weights_SE))
    for at, weight_E in enumerate(weights_SE):
        if clusterings:
            called_N = mix(probability_ENK, weight_E).argmax(axis=1)
            agreed = [shared_information(one, called_N) for one in clusterings]
            evidence_S[at] += np.mean(agreed) / structure_scale
        for cells in left_out:
            right_M = mix(cells.predicted_EMK, weight_E).argmax(axis=1) == cells.classes_M
            evidence_S[at] += right_M.mean() / cells.scale
    return np.asarray(softmax(evidence_S) @ weights_SE)


def shared_information(first_N: np.ndarray, second_N: np.ndarray) -> float:
    """Return the normalised mutual information ``2 I / (H1 + H2)`` of two clusterings; 1 for one group each.

    As in scikit-learn, but 20 times faster, since it is computed for hundreds of mixtures.
    """
    pairs = np.bincount(first_N * (second_N.max() + 1) + second_N) / len(first_N)
    entropies = [-xlogy(p, p).sum() for p in (np.bincount(n) / len(n) for n in (first_N, second_N))]
    both = sum(entropies)
    return float(2 * max(0.0, both + xlogy(pairs, pairs).sum()) / both) if both else 1.0


def mix(probability_ENK: np.ndarray, weight_E: np.ndarray) -> np.ndarray:
    """Return the weighted mean probability, (N, K)."""
    return np.tensordot(weight_E, probability_ENK, axes=1)


def unique_shares(called_EN: np.ndarray, power: float) -> np.ndarray:
    """Return a share per expert, (E,), with sum 1, lower the more other experts agree with it.

    ``1 / sum_f max(0, kappa_ef)^power``, with kappa Cohen's (1960) chance-corrected agreement of two experts'
    predictions: two that always agree have half a share each.
    """
    experts = len(called_EN)
    alike_EE = np.eye(experts)
    for first in range(experts):
        for second in range(first):
            kappa = _kappa(called_EN[first], called_EN[second])
            alike_EE[first, second] = alike_EE[second, first] = max(0.0, kappa) ** power
    share_E = 1 / alike_EE.sum(axis=1)
    return np.asarray(share_E / share_E.sum())


def _kappa(first_N: np.ndarray, second_N: np.ndarray) -> float:
    if np.array_equal(first_N, second_N):
        return 1.0  # also if both predict a single class, for which kappa is undefined
    return float(cohen_kappa_score(first_N, second_N))
