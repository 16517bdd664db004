"""The ranking head: weights of a few comparisons, by which the right candidate is the likeliest.

Legend: N queries, C candidates, X features.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax


@dataclass(frozen=True)
class RankingHead:
    """A conditional logit: ``P(c) = softmax_c(weight . features_c)``."""

    weight_X: np.ndarray

    def scores(self, features_CX: np.ndarray) -> np.ndarray:
        """Return the logit of every candidate, (C,)."""
        return np.asarray(features_CX @ self.weight_X)


def fit_head(features_NCX: np.ndarray, truth_N: np.ndarray, decay: float) -> RankingHead:
    """Fit the weights by maximum likelihood with a decay, in units of each feature's spread.

    Spread is the standard deviation among the candidates of a query: without it a decay would keep
    the cosine, which is small by nature, from counting.

    Parameters
    ----------
    features_NCX
        Comparisons of N queries with C candidates.
    truth_N
        Place of the right candidate.
    decay
        Of the squared weights.
    """
    centred_NCX = features_NCX - features_NCX.mean(axis=1, keepdims=True)
    spread_X = np.maximum(np.sqrt((centred_NCX**2).mean(axis=(0, 1))), 1e-12)
    scaled_NCX = centred_NCX / spread_X

    def loss(weight_X: np.ndarray) -> tuple[float, np.ndarray]:
        logit_NC = scaled_NCX @ weight_X
        told_N = log_softmax(logit_NC, axis=1)[np.arange(len(truth_N)), truth_N]
        expected_NX = np.einsum("nc,ncx->nx", softmax(logit_NC, axis=1), scaled_NCX)
        right_NX = scaled_NCX[np.arange(len(truth_N)), truth_N]
        gradient_X = (expected_NX - right_NX).mean(axis=0) + decay * weight_X
        return float(-told_N.mean() + decay / 2 * weight_X @ weight_X), gradient_X

    found = minimize(loss, np.zeros(scaled_NCX.shape[2]), jac=True, method="L-BFGS-B")
    return RankingHead(np.asarray(found.x) / spread_X)


def fit_temperature(scores_NC: np.ndarray, truth_N: np.ndarray) -> float:
    """Fit one factor that turns scores into probabilities, by maximum likelihood, 0.001 to 1,000."""
    spread = max(float(scores_NC.std()), 1e-12)
    factors = np.logspace(-3, 3, 61) / spread
    rows = np.arange(len(truth_N))
    told = [log_softmax(f * scores_NC, axis=1)[rows, truth_N].mean() for f in factors]
    return float(factors[int(np.argmax(told))])
