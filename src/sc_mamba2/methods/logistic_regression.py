"""A classification head fitted as one convex problem, for few labels: no epochs or learning rate to tune.

Logistic regression on concatenated blocks of features: the log-normalised values of all genes, and the
backbone's embeddings. The penalty is shared, so directions of high variance are cheap to use: a block's
variance is its weight. N cells, F features, K classes.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold

ABSENT = 20.0  # how far the bias of a class without cells is below the lowest bias
_MAX_CELLS = 2000  # limit for the eigendecomposition in `compact`
Block: TypeAlias = np.ndarray | sparse.csr_matrix


@dataclass(frozen=True)
class LinearHead:
    """A linear classifier on the unscaled features.

    Attributes
    ----------
    weights
        One (F, K) per block.
    bias_K
        (K,).
    strength
        The inverse penalty C chosen by cross-validation; the factor of the scores in `prototypes`.
    """

    weights: list[np.ndarray]
    bias_K: np.ndarray
    strength: float

    def logits(self, blocks: list[Block]) -> np.ndarray:
        """Compute the logits of cells, (N, K)."""
        parts = (block @ weight_FK for block, weight_FK in zip(blocks, self.weights, strict=True))
        return np.asarray(sum(parts, start=self.bias_K))


def fit_linear_head(
    blocks: list[Block],
    variances: list[float],
    classes_N: np.ndarray,
    n_classes: int,
    regularisation: tuple[float, ...],
    folds: int,
    seed: int,
) -> LinearHead:
    """Fit multinomial logistic regression on blocks of features.

    Parameters
    ----------
    blocks
        (N, F) each, dense or CSR; the first one sets the scale.
    variances
        Target variance of each block relative to the unscaled first one, above 0; summed over features.
    classes_N
        Classes, 0 to K - 1.
    n_classes
        K. A class without cells gets the lowest other bias minus 20.
    regularisation
        Candidates of the inverse penalty C, chosen by accuracy.
    folds
        Folds of the cross-validation, at most the size of the largest class.
    seed
        Seed of the folds.
    """
    first = summed_variance(blocks[0])
    factors = [
        np.sqrt(variance * first / own) if (own := summed_variance(block)) > 0 else 0.0
        for block, variance in zip(blocks, variances, strict=True)
    ]
    scaled = [
        sparse.csr_matrix(block) * factor for block, factor in zip(blocks, factors, strict=True)
    ]
    features_NF = sparse.hstack(scaled).tocsr()
    compact_NR, back_FR = compact(features_NF, _MAX_CELLS)
    fitted, strength = _fit(compact_NR, classes_N, regularisation, folds, seed)
    coefficients_KF, intercepts_K = fitted.coef_ @ back_FR.T, fitted.intercept_
    if len(fitted.classes_) == 2:  # scikit-learn has one row of coefficients for two classes
        coefficients_KF = np.concatenate([np.zeros_like(coefficients_KF), coefficients_KF])
        intercepts_K = np.concatenate([[0.0], intercepts_K])
    bias_K = np.full(n_classes, intercepts_K.min() - ABSENT)
    bias_K[fitted.classes_] = intercepts_K
    weights, start = [], 0
    for block, factor in zip(blocks, factors, strict=True):
        width = block.shape[1]
        weight_FK = np.zeros((width, n_classes))
        weight_FK[:, fitted.classes_] = coefficients_KF[:, start : start + width].T * factor
        weights.append(weight_FK)
        start += width
    return LinearHead(weights, bias_K, strength)


def compact(features_NF: sparse.csr_matrix, most_cells: int) -> tuple[Block, Any]:
    """Reduce the features to at most as many as cells, if these are fewer and at most `most_cells`.

    A fit with an L2 penalty depends only on inner products of the features: with ``F Fᵀ = Q Λ Qᵀ`` a fit on
    ``Q √Λ`` is equivalent to one on F, whose weights are ``Fᵀ Q / √Λ`` times those found. Returns the
    features, (N, R), and the matrix that maps weights back, (F, R).
    """
    cells, width = features_NF.shape
    if cells >= width or cells > most_cells:
        return features_NF, sparse.identity(width)
    values_N, vectors_NN = np.linalg.eigh((features_NF @ features_NF.T).toarray())
    some = values_N > values_N.max() * 1e-10
    if not some.any():
        return features_NF, sparse.identity(width)
    roots_R, vectors_NR = np.sqrt(values_N[some]), vectors_NN[:, some]
    return vectors_NR * roots_R, features_NF.T @ (vectors_NR / roots_R)


def _fit(
    features: np.ndarray | sparse.csr_matrix,
    classes_N: np.ndarray,
    regularisation: tuple[float, ...],
    folds: int,
    seed: int,
) -> tuple[LogisticRegression, float]:
    model = LogisticRegression(solver="newton-cg", max_iter=2000, tol=1e-6)
    folds = min(folds, int(np.bincount(classes_N).max()))
    if len(regularisation) == 1 or folds < 2:
        strength = regularisation[len(regularisation) // 2]
        return model.set_params(C=strength).fit(features, classes_N), strength
    search = search_strength(model, features, classes_N, regularisation, folds, seed)
    return search.best_estimator_, float(search.best_params_["C"])


def search_strength(
    model: LogisticRegression,
    features: np.ndarray | sparse.csr_matrix,
    classes_N: np.ndarray,
    regularisation: tuple[float, ...],
    folds: int,
    seed: int,
) -> GridSearchCV:
    """Fit a model with the inverse penalty C of the best accuracy in stratified cross-validation."""
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    search = GridSearchCV(model, {"C": list(regularisation)}, cv=split, scoring="accuracy")
    with allow_rare_classes():
        return search.fit(features, classes_N)


@contextmanager
def allow_rare_classes() -> Iterator[None]:
    """Suppress scikit-learn's warning about classes with fewer members than folds."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        yield


def summed_variance(block: Block) -> float:
    """Return the variance over cells, summed over the features, of (N, F)."""
    squares = np.square(block) if isinstance(block, np.ndarray) else block.multiply(block)
    means_F = np.asarray(block.mean(axis=0)).ravel()
    return float(squares.sum() / block.shape[0] - np.square(means_F).sum())
