"""Correlation of every column of one matrix with every column of another.

Legend: N cells, R and T columns.
"""

import numpy as np
from scipy.stats import rankdata


def pearson(x_NR: np.ndarray, y_NT: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation of each pair, (R, T), -1 to 1; 0 if either is constant."""
    return _unit_columns(x_NR).T @ _unit_columns(y_NT)


def spearman(x_NR: np.ndarray, y_NT: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of each pair, (R, T), -1 to 1; 0 if either is constant."""
    return pearson(rankdata(x_NR, axis=0), rankdata(y_NT, axis=0))


def _unit_columns(values: np.ndarray) -> np.ndarray:
    """Centre columns and scale them to length 1; constant ones to 0."""
    centred = values - values.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 1e-12)
