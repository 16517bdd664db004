"""A space in which cells of one type are close across studies, and distances there to detect novel cells.

Legend: N points, R reference points, K classes, D width.
"""

from collections.abc import Iterable

import numpy as np
from sklearn.model_selection import KFold

from sc_mamba2.methods.class_shift import class_shift
from sc_mamba2.methods.neighbour_vote import NeighbourVote

RIGHT_ANGLE = float(np.sqrt(2))  # distance of two orthogonal unit vectors
_MIN_POINTS = 2  # points of a class needed to estimate its variation


class TypeSpace:
    """Directions from the reference's mean, with within-class variation scaled down.

    ``y = (x / |x| - m) (S + r t I)^(-1/2)``, then ``y / |y|``: x / |x| is independent of a cell's depth, m is
    its mean over the reference, S its covariance within the classes, t the mean eigenvalue of S.

    Parameters
    ----------
    vectors_RD
        Reference points.
    classes_R
        Their classes, 0 to K - 1, each with a point.
    ridge
        r, above 0: limits the weight of directions without variation within the classes.
    """

    def __init__(self, vectors_RD: np.ndarray, classes_R: np.ndarray, ridge: float) -> None:
        units_RD = _unit_rows(np.asarray(vectors_RD, dtype=np.float64))
        self._mean_D = units_RD.mean(axis=0)
        classes = range(int(classes_R.max()) + 1)
        within = [units_RD[classes_R == known] for known in classes]
        self._class_means_KD = np.stack([part.mean(axis=0) for part in within])
        within = [part for part in within if len(part) >= _MIN_POINTS] or [units_RD]
        left_RD = np.concatenate([part - part.mean(axis=0) for part in within])
        values_D, vectors_DD = np.linalg.eigh(left_RD.T @ left_RD / len(left_RD))
        floor = max(float(values_D.mean()), np.finfo(np.float64).tiny)
        self._map_DD = vectors_DD / np.sqrt(values_D.clip(min=0) + ridge * floor)
        placed_RD = self.place(vectors_RD)
        self._directions_KD = _unit_rows(
            np.stack([placed_RD[classes_R == known].mean(axis=0) for known in classes])
        )

    def shift(self, means_D: np.ndarray, share: float) -> np.ndarray:
        """Return a share of the difference of a query's mean direction from the reference's, (D,)."""
        return np.asarray(share * (means_D - self._mean_D))

    def shift_within(self, blocks: Iterable[np.ndarray], classes_N: np.ndarray) -> np.ndarray:
        """Return the mean difference of a query's points from the mean of the class they were given, (D,).

        See `class_shift`.
        """
        counts_K = np.bincount(classes_N, minlength=len(self._class_means_KD))
        sums_KD, seen = np.zeros_like(self._class_means_KD), 0
        for block in blocks:
            own = classes_N[seen : (seen := seen + len(block))]
            np.add.at(sums_KD, own, _unit_rows(np.asarray(block, dtype=np.float64)))
        return class_shift(sums_KD, counts_K, self._class_means_KD)

    def nearest_mean(self, placed_ND: np.ndarray) -> np.ndarray:
        """Return the class whose mean direction is nearest to each point of the space, (N,)."""
        return np.asarray((placed_ND @ self._directions_KD.T).argmax(axis=1))

    def place(self, vectors_ND: np.ndarray, shift_D: np.ndarray | float = 0.0) -> np.ndarray:
        """Return points, minus a shift, as unit vectors of the space, (N, D) float32."""
        units_ND = _unit_rows(np.asarray(vectors_ND, dtype=np.float64))
        return _unit_rows((units_ND - self._mean_D - shift_D) @ self._map_DD).astype(np.float32)


def mean_direction(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean of all points' unit vectors, (D,)."""
    sums = [
        (_unit_rows(np.asarray(block, dtype=np.float64)).sum(axis=0), len(block))
        for block in blocks
    ]
    return np.asarray(sum(total for total, _ in sums) / sum(points for _, points in sums))


def left_out_distances(
    vectors_RD: np.ndarray,
    classes_R: np.ndarray,
    batches_R: np.ndarray | None,
    ridge: float,
    neighbours: int,
    folds: int,
    seed: int,
) -> np.ndarray:
    """Return mean distances of held-out reference points to their nearest neighbours.

    The space is fitted without one batch at a time or, with a single batch or none, one fold of the points.

    Parameters
    ----------
    vectors_RD, classes_R, ridge
        See `TypeSpace`.
    batches_R
        (R,) names, or ``None``.
    neighbours
        Number of nearest neighbours.
    folds, seed
        Number of folds, and their seed.

    Returns
    -------
    ndarray
        (R,) float32, ascending; empty for a single point.
    """
    if batches_R is not None and len(np.unique(batches_R)) > 1:
        parts = [batches_R == batch for batch in np.unique(batches_R)]
    elif len(vectors_RD) > 1:
        split = KFold(min(folds, len(vectors_RD)), shuffle=True, random_state=seed)
        parts = [np.isin(np.arange(len(vectors_RD)), out) for _, out in split.split(vectors_RD)]
    else:
        return np.empty(0, dtype=np.float32)
    found = []
    for out_R in parts:
        left_in = np.unique(classes_R[~out_R], return_inverse=True)[1]
        space = TypeSpace(vectors_RD[~out_R], left_in, ridge)
        vote = NeighbourVote(space.place(vectors_RD[~out_R]), left_in, neighbours)
        found.append(vote(space.place(vectors_RD[out_R]))[2])
    return np.sort(np.concatenate(found)).astype(np.float32)


def _unit_rows(vectors_ND: np.ndarray) -> np.ndarray:
    """Scale points to length 1, except at the origin."""
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return np.divide(vectors_ND, lengths_N1, out=np.zeros_like(vectors_ND), where=lengths_N1 > 0)
