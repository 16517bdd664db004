"""Calibration: one temperature that makes a model's probabilities as good as its word.

N cells, K classes.
"""

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.optimize import minimize_scalar

from sc_mamba2.metrics.classification import expected_calibration_error

WIDEST = np.log(20.0)  # temperatures from 1/20 to 20
_LEAST = 1e-38  # float32 probabilities that are zero have a logarithm too


class Calibration(BaseModel):
    """How a model's logits are scaled, and what that did on the cells it was fitted to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(1.0, gt=0, description="logits are divided by it")
    cells: int = Field(0, ge=0, description="validation cells it was fitted to; 0: not fitted")
    error_before: float | None = Field(None, description="calibration error on them at 1")
    error_after: float | None = Field(None, description="the same at the temperature")


def fit_calibration(probability_NK: np.ndarray, classes_N: np.ndarray) -> Calibration:
    """Fit the temperature by likelihood, and tell the expected calibration error before and after.

    Parameters
    ----------
    probability_NK
        Probabilities at temperature 1, rows that sum to one.
    classes_N
        The true classes, 0 to K - 1.
    """
    temperature = fit_temperature(probability_NK, classes_N)
    scaled_NK = at_temperature(probability_NK, temperature)
    errors = [
        expected_calibration_error(p_NK.argmax(axis=1) == classes_N, p_NK.max(axis=1))
        for p_NK in (probability_NK, scaled_NK)
    ]
    return Calibration(
        temperature=temperature,
        cells=len(classes_N),
        error_before=errors[0],
        error_after=errors[1],
    )


def fit_temperature(probability_NK: np.ndarray, classes_N: np.ndarray) -> float:
    """Find the temperature with the highest likelihood of the true classes.

    ``p(T) = softmax(logits / T)`` (Guo et al. 2017, "On Calibration of Modern Neural Networks",
    section 4.2). As in Platt's scaling (1999) a target is not 1 but ``1 - 1 / (N + 2)``, the rest
    spread over the other classes, so that a few cells that are all right do not ask for certainty.

    Parameters
    ----------
    probability_NK, classes_N
        As in `fit_calibration`.

    Returns
    -------
    float
        From 1/20 to 20.
    """
    cells, classes = probability_NK.shape
    log_NK = np.log(np.maximum(probability_NK, _LEAST).astype(np.float64))
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
    """Return the probabilities, given at temperature 1, at another temperature."""
    log_NK = np.log(np.maximum(probability_NK, _LEAST).astype(np.float64)) / temperature
    scaled_NK: np.ndarray = np.exp(log_NK - np.logaddexp.reduce(log_NK, axis=1, keepdims=True))
    return scaled_NK
