"""How the points of a query differ from the reference points of their class. K classes, F features."""

import numpy as np

_FEWEST, _SMALLEST = 5, 0.01  # points of a class, and their share of all, that count


def class_shift(sums_KF: np.ndarray, counts_K: np.ndarray, means_KF: np.ndarray) -> np.ndarray:
    """Return the mean difference of a query's points from the reference mean of their class, (F,).

    ``sum_k (s_k - n_k m_k) / sum_k n_k`` over the classes that are not rare. If all classes differ alike
    (chemistry, laboratory), it is that difference, whichever classes the query has; the difference of the means
    would also hold how common they are. Where they differ unlike, the common ones count most. Points of no
    class of the reference count as if of the class they were given.

    Parameters
    ----------
    sums_KF, counts_K
        Sums s and numbers n of the query's points by class, which may be provisional.
    means_KF
        Means m of the reference's points by class.

    Returns
    -------
    ndarray
        Zero if every class is rare: fewer than 5 points, or than 1 % of all.
    """
    common_K = counts_K >= max(_FEWEST, _SMALLEST * counts_K.sum())
    weights_K = np.where(common_K, counts_K, 0)
    left_F = sums_KF[common_K].sum(axis=0) - weights_K @ means_KF
    return np.asarray(left_F / max(weights_K.sum(), 1))
