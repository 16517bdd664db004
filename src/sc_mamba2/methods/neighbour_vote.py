"""Classification by votes of the nearest labelled points, and the distance to them.

Legend: N points, R reference points, D width, K neighbours.
"""

import numpy as np
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from sc_mamba2.methods.logistic_regression import allow_rare_classes


class NeighbourVote:
    """Vote of the K nearest reference points (Euclidean), weighted by 1 / distance.

    Parameters
    ----------
    vectors_RD
        Reference points.
    classes_R
        Their classes, numbered from 0.
    neighbours
        K, at most R.
    """

    def __init__(self, vectors_RD: np.ndarray, classes_R: np.ndarray, neighbours: int) -> None:
        self._classes_R = classes_R
        self._search = NearestNeighbors(n_neighbors=min(neighbours, len(classes_R))).fit(vectors_RD)

    def __call__(self, vectors_ND: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return each point's best class, its share of the votes, and the mean distance, (N,) each."""
        distances_NK, rows_NK = self._search.kneighbors(vectors_ND)
        weights_NK = 1 / np.maximum(distances_NK, np.finfo(np.float32).tiny)
        votes = np.zeros((len(vectors_ND), int(self._classes_R.max()) + 1))
        np.add.at(votes, (np.arange(len(votes))[:, None], self._classes_R[rows_NK]), weights_NK)
        share = votes.max(axis=1) / votes.sum(axis=1)
        return votes.argmax(axis=1), share, distances_NK.mean(axis=1)


def cross_validated_votes(
    vectors_ND: np.ndarray, classes_N: np.ndarray, neighbours: int, folds: int, seed: int
) -> np.ndarray | None:
    """Return the class of each point by an unweighted vote of its neighbours in the other folds.

    Parameters
    ----------
    vectors_ND, classes_N
        Points, and names of their classes.
    neighbours, folds
        Upper limits; fewer for few points.
    seed
        Seed of the folds.

    Returns
    -------
    ndarray or None
        (N,) names; ``None`` with fewer than two classes, or if each has only one point.
    """
    _, counts = np.unique(classes_N, return_counts=True)
    if len(counts) < 2 or counts.max() < 2:
        return None
    folds = min(folds, int(counts.max()))
    smallest = len(classes_N) - -(-len(classes_N) // folds)  # points of the smallest training part
    voters = KNeighborsClassifier(max(1, min(neighbours, smallest)))
    split = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with allow_rare_classes():
        return cross_val_predict(voters, vectors_ND, classes_N, cv=split)
