"""Test whether two sets of points have the same distribution. Legend: R and N points, D width."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

_LIMIT = 2000  # points of a side
_FOLDS = 3


def similarity(first_RD: np.ndarray, second_ND: np.ndarray, seed: int) -> float:
    """Return how indistinguishable two sets of points are: 1 if only by chance, 0 if perfectly separable.

    ``1 - 2 |AUC - 1/2|`` of a cross-validated logistic regression (the classifier two-sample test of Lopez-Paz
    & Oquab 2017); 0 if a set has fewer than three points.
    """
    if min(len(first_RD), len(second_ND)) < _FOLDS:
        return 0.0
    generator = np.random.default_rng(seed)
    sides = [
        side[np.sort(generator.permutation(len(side))[:_LIMIT])] for side in (first_RD, second_ND)
    ]
    points = np.concatenate(sides)
    is_second = np.repeat([0, 1], [len(side) for side in sides])
    classifier = make_pipeline(
        StandardScaler(), LogisticRegression(class_weight="balanced", max_iter=300)
    )
    split = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(classifier, points, is_second, cv=split, method="decision_function")
    return float(1 - 2 * abs(roc_auc_score(is_second, scores) - 0.5))
