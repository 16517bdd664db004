"""A ranking head: weights of a few features that rank the correct one of several candidates first.

Legend: N queries, C candidates, X features.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax


def fit_ranking_head(features_NCX: np.ndarray, truth_N: np.ndarray, decay: float) -> np.ndarray:
    """Fit a conditional logit, ``P(c) = softmax_c(weight . features_c)``, by maximum likelihood.

    The L2 penalty applies to features scaled by their standard deviation among the candidates of a query;
    otherwise it would suppress features with small values.

    Parameters
    ----------
    features_NCX
        Features of the candidates of N queries.
    truth_N
        Index of the correct candidate.
    decay
        L2 penalty.

    Returns
    -------
    ndarray
        (X,) weights; ``features @ weights`` are the logits.
    """
    rows = np.arange(len(truth_N))
    centred_NCX = features_NCX - features_NCX.mean(axis=1, keepdims=True)
    spread_X = np.maximum(np.sqrt((centred_NCX**2).mean(axis=(0, 1))), 1e-12)
    scaled_NCX = centred_NCX / spread_X

    def loss(weight_X: np.ndarray) -> tuple[float, np.ndarray]:
        logit_NC = scaled_NCX @ weight_X
        likelihood_N = log_softmax(logit_NC, axis=1)[rows, truth_N]
        expected_NX = np.einsum("nc,ncx->nx", softmax(logit_NC, axis=1), scaled_NCX)
        gradient_X = (expected_NX - scaled_NCX[rows, truth_N]).mean(axis=0) + decay * weight_X
        return float(-likelihood_N.mean() + decay / 2 * weight_X @ weight_X), gradient_X

    best = minimize(loss, np.zeros(scaled_NCX.shape[2]), jac=True, method="L-BFGS-B")
    return np.asarray(best.x) / spread_X


def fit_factor(scores_NC: np.ndarray, truth_N: np.ndarray) -> float:
    """Fit one factor that turns scores into logits by maximum likelihood.

    Searches a grid from 1/1,000 to 1,000 over the scores' standard deviation. Unlike `methods.temperature`,
    which is for logits, near 1, and smooths the targets.
    """
    spread = max(float(scores_NC.std()), 1e-12)
    factors = np.logspace(-3, 3, 61) / spread
    rows = np.arange(len(truth_N))
    likelihood = [log_softmax(f * scores_NC, axis=1)[rows, truth_N].mean() for f in factors]
    return float(factors[int(np.argmax(likelihood))])
