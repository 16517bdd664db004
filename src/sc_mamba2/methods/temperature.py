"""Temperature scaling, to calibrate a model's probabilities. N cells, K classes."""

import numpy as np
from scipy.optimize import minimize_scalar

WIDEST = np.log(20.0)  # temperatures from 1/20 to 20
_FLOOR = 1e-38  # floor of float32 probabilities, to avoid log(0)


def fit_temperature(probability_NK: np.ndarray, classes_N: np.ndarray) -> float:
    """Find the temperature with the highest likelihood of the true classes.

    ``p(T) = softmax(logits / T)`` (Guo et al. 2017, "On Calibration of Modern Neural Networks",
    section 4.2). As in Platt scaling (1999), a target is ``1 - 1 / (N + 2)`` instead of 1, the rest
    spread over the other classes, so that a few, all correct cells do not lead to certainty.

    Parameters
    ----------
    probability_NK
        Probabilities at temperature 1; rows sum to one.
    classes_N
        The true classes, 0 to K - 1.

    Returns
    -------
    float
        From 1/20 to 20.
    """
    cells, classes = probability_NK.shape
    log_NK = np.log(np.maximum(probability_NK, _FLOOR).astype(np.float64))
    doubt = 1 / (cells + 2)
    target_NK = np.full((cells, classes), doubt / max(1, classes - 1))
    target_NK[np.arange(cells), classes_N] = 1 - doubt

    def loss(log_temperature: float) -> float:
        scaled_NK = log_NK / np.exp(log_temperature)
        scaled_NK -= np.logaddexp.reduce(scaled_NK, axis=1, keepdims=True)
        return float(-(target_NK * scaled_NK).sum(axis=1).mean())

    found = minimize_scalar(loss, bounds=(-WIDEST, WIDEST), method="bounded")
    return float(np.exp(found.x))


def at_temperature(probability_NK: np.ndarray, temperature: float) -> np.ndarray:
    """Rescale probabilities from temperature 1 to another temperature."""
    log_NK = np.log(np.maximum(probability_NK, _FLOOR).astype(np.float64)) / temperature
    scaled_NK: np.ndarray = np.exp(log_NK - np.logaddexp.reduce(log_NK, axis=1, keepdims=True))
    return scaled_NK


def cross_fitted(probability_NK: np.ndarray, classes_N: np.ndarray, folds: int = 5) -> np.ndarray:
    """Return the probabilities, each cell's at the temperature fitted to the other folds.

    Folds are random but fixed; a single cell keeps its probabilities.
    """
    order = np.random.default_rng(0).permutation(len(classes_N))
    crossed_NK = np.array(probability_NK, dtype=np.float64)
    for held_out in (order[first::folds] for first in range(min(folds, len(order)))):
        others = np.setdiff1d(order, held_out)
        if len(others):
            temperature = fit_temperature(probability_NK[others], classes_N[others])
            crossed_NK[held_out] = at_temperature(probability_NK[held_out], temperature)
    return crossed_NK


def log_loss(probability_NK: np.ndarray, classes_N: np.ndarray) -> float:
    """Return the mean negative log probability of the true classes."""
    true_N = probability_NK[np.arange(len(classes_N)), classes_N].astype(np.float64)
    return float(-np.log(np.maximum(true_N, _FLOOR)).mean())
