"""Metrics of rankings: hits, reciprocal rank, recovery of known edges."""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import average_precision_score


def tied_rank(scores_C: np.ndarray, at: int) -> float:
    """Return the rank of the candidate at index `at` by its score, from 1; ties share their mean rank."""
    own = scores_C[at]
    return float(1 + (scores_C > own).sum() + ((scores_C == own).sum() - 1) / 2)


def hits(ranks: Sequence[float | None], first: int) -> float:
    """Return the share of queries whose correct name is among the first `first`, 0 to 1."""
    return float(np.mean([rank is not None and rank <= first for rank in ranks]))


def mean_reciprocal_rank(ranks: Sequence[float | None]) -> float:
    """Return the mean of 1 / rank, with 0 where the correct name is not listed."""
    return float(np.mean([0.0 if rank is None else 1 / rank for rank in ranks]))


def random_hits(candidates: int, first: int) -> float:
    """Return the expected `hits` of a random ranking with one correct name."""
    return min(first, candidates) / candidates


def random_reciprocal_rank(candidates: int) -> float:
    """Return the expected `mean_reciprocal_rank` of a random ranking with one correct name."""
    return float(np.mean(1 / np.arange(1, candidates + 1)))


def edge_scores(scores: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Score a ranking of P pairs against known edges.

    Parameters
    ----------
    scores
        (P,) finite; higher means more likely an edge.
    truth
        (P,) bool, the K known edges; at least one, and not all.

    Returns
    -------
    dict
        ``auprc``, the average precision; ``auprc_ratio``, that over its chance level, the share of edges
        (1 is chance); ``early_precision``, the share of edges among the K best pairs, 0 to 1, in expectation
        for ties; ``early_precision_ratio``, that over chance (BEELINE, Pratapa et al. 2020).
    """
    share, count = float(truth.mean()), int(truth.sum())
    auprc = float(average_precision_score(truth, scores))
    last = np.sort(scores)[-count]
    above, tied = scores > last, scores == last
    left = count - above.sum()
    early = float((truth[above].sum() + left * truth[tied].mean()) / count)
    return {
        "auprc_ratio": auprc / share,
        "early_precision_ratio": early / share,
        "auprc": auprc,
        "early_precision": early,
    }
