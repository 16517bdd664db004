"""A space in which cells of one type lie together across studies, and how far a stranger lies there.

Legend: N points, R reference points, D width.
"""

from collections.abc import Iterable

import numpy as np
from sklearn.model_selection import KFold

from sc_mamba2.methods.neighbour_vote import NeighbourVote

RIGHT_ANGLE = float(np.sqrt(2))  # distance of two directions that have nothing in common
_FEWEST = 2  # points of a class that say how it varies


class TypeSpace:
    """Directions from the reference's mean, with what varies within a type held down.

    ``y = (x / |x| - m) (S + r t I)^(-1/2)``, then ``y / |y|``: x / |x| does not know a cell's depth, m is
    the reference's mean of these, S their covariance within the classes, t the mean of its eigenvalues.

    Parameters
    ----------
    vectors_RD
        Reference points.
    classes_R
        Their classes.
    ridge
        r, above 0: a direction in which the classes do not vary weighs at most so much more.
    """

    def __init__(self, vectors_RD: np.ndarray, classes_R: np.ndarray, ridge: float) -> None:
        units_RD = _units(np.asarray(vectors_RD, dtype=np.float64))
        self._mean_D = units_RD.mean(axis=0)
        within = [units_RD[classes_R == known] for known in np.unique(classes_R)]
        within = [part for part in within if len(part) >= _FEWEST] or [units_RD]
        left_RD = np.concatenate([part - part.mean(axis=0) for part in within])
        values_D, vectors_DD = np.linalg.eigh(left_RD.T @ left_RD / len(left_RD))
        floor = max(float(values_D.mean()), np.finfo(np.float64).tiny)
        self._map_DD = vectors_DD / np.sqrt(values_D.clip(min=0) + ridge * floor)

    def shift(self, means_D: np.ndarray, share: float) -> np.ndarray:
        """Return a share of how far the mean direction of a query is from the reference's, (D,)."""
        return np.asarray(share * (means_D - self._mean_D))

    def place(self, vectors_ND: np.ndarray, shift_D: np.ndarray | float = 0.0) -> np.ndarray:
        """Return points, less a shift, as unit vectors of the space, (N, D) float32."""
        units_ND = _units(np.asarray(vectors_ND, dtype=np.float64))
        return _units((units_ND - self._mean_D - shift_D) @ self._map_DD).astype(np.float32)


def mean_direction(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Return the mean of all points' unit vectors, (D,)."""
    sums = [
        (_units(np.asarray(block, dtype=np.float64)).sum(axis=0), len(block)) for block in blocks
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
    """Return mean distances of reference points to their nearest ones in a space made without them.

    Left out are one batch at a time; where there is one alone, or none is told, folds of the points.

    Parameters
    ----------
    vectors_RD, classes_R, ridge
        See `TypeSpace`.
    batches_R
        (R,) names, or ``None``.
    neighbours
        Nearest points.
    folds, seed
        Of points that are left out together.

    Returns
    -------
    ndarray
        (R,) float32, rising; of a single point none.
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
        space = TypeSpace(vectors_RD[~out_R], classes_R[~out_R], ridge)
        vote = NeighbourVote(space.place(vectors_RD[~out_R]), classes_R[~out_R], neighbours)
        found.append(vote(space.place(vectors_RD[out_R]))[2])
    return np.sort(np.concatenate(found)).astype(np.float32)


def _units(vectors_ND: np.ndarray) -> np.ndarray:
    """Scale points to length 1; one at the origin stays there."""
    lengths_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return np.divide(vectors_ND, lengths_N1, out=np.zeros_like(vectors_ND), where=lengths_N1 > 0)
