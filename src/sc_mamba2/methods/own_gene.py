"""What a perturbation does to the gene that it is aimed at: one fold change for all targets."""

import numpy as np

# From a knockout that leaves e^-4 to an activation by e^4.
_FOLDS = np.exp(np.linspace(-4, 4, 81))


def fold_effect(fold: float, level_X: np.ndarray) -> np.ndarray:
    """Return the change of log1p levels when expression is multiplied, (X,).

    ``log1p(fold expm1(level)) - level``: near ``(fold - 1) level`` for a gene that few cells express, near
    ``log(fold)`` for a strong one.
    """
    return np.asarray(np.log1p(fold * np.expm1(level_X)) - level_X)


def fit_fold(level_X: np.ndarray, change_X: np.ndarray) -> float:
    """Choose the fold change that explains the targets' own changes best, by absolute error; 1 of none.

    The absolute error makes it a median: targets differ widely in what is left of their messenger.
    """
    if not len(level_X):
        return 1.0
    losses = [np.abs(fold_effect(fold, level_X) - change_X).sum() for fold in _FOLDS]
    return float(_FOLDS[int(np.argmin(losses))])
