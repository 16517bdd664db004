"""The ranking head: weights of a few comparisons, by which the right candidate is the likeliest.

Legend: N queries, C candidates, X features.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

_DECAY = 1e-2


@dataclass(frozen=True)
class RankingHead:
    """A conditional logit: ``P(c) = softmax_c(weight . features_c)``."""

    weight_X: np.ndarray

    def scores(self, features_CX: np.ndarray) -> np.ndarray:
        """Return the logit of every candidate, (C,)."""
        return np.asarray(features_CX @ self.weight_X)


def fit_head(features_NCX: np.ndarray, truth_N: np.ndarray) -> RankingHead:
    """Fit the weights by maximum likelihood with a small decay.

    Parameters
    ----------
    features_NCX
        Comparisons of N queries with C candidates.
    truth_N
        Place of the right candidate.
    """

    def loss(weight_X: np.ndarray) -> tuple[float, np.ndarray]:
        logit_NC = features_NCX @ weight_X
        told_N = log_softmax(logit_NC, axis=1)[np.arange(len(truth_N)), truth_N]
        expected_NX = np.einsum("nc,ncx->nx", softmax(logit_NC, axis=1), features_NCX)
        right_NX = features_NCX[np.arange(len(truth_N)), truth_N]
        gradient_X = (expected_NX - right_NX).mean(axis=0) + _DECAY * weight_X
        return float(-told_N.mean() + _DECAY / 2 * weight_X @ weight_X), gradient_X

    found = minimize(loss, np.zeros(features_NCX.shape[2]), jac=True, method="L-BFGS-B")
    return RankingHead(np.asarray(found.x))


def fit_temperature(scores_NC: np.ndarray, truth_N: np.ndarray) -> float:
    """Fit one factor that turns scores into probabilities, by maximum likelihood, 0.001 to 1,000."""
    spread = max(float(scores_NC.std()), 1e-12)
    factors = np.logspace(-3, 3, 61) / spread
    rows = np.arange(len(truth_N))
    told = [log_softmax(f * scores_NC, axis=1)[rows, truth_N].mean() for f in factors]
    return float(factors[int(np.argmax(told))])
