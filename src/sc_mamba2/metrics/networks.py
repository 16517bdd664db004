"""How well scores of pairs of genes find known edges."""

import numpy as np
from sklearn.metrics import average_precision_score


def edge_scores(scores: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Score a ranking of pairs against known edges.

    Parameters
    ----------
    scores
        (P,) finite; higher is likelier an edge.
    truth
        (P,) bool, the K known edges; at least one, and not all.

    Returns
    -------
    dict
        ``auprc``, the average precision; ``auprc_ratio``, that over the share of edges, which a random
        order has (1 is chance); ``early_precision``, the share of edges among the K best pairs, 0 to 1,
        the expected one where pairs are tied; ``early_precision_ratio``, that over chance (BEELINE,
        Pratapa et al. 2020).
    """
    share, count = float(truth.mean()), int(truth.sum())
    auprc = float(average_precision_score(truth, scores))
    early = _early_precision(scores, truth, count)
    return {
        "auprc_ratio": auprc / share,
        "early_precision_ratio": early / share,
        "auprc": auprc,
        "early_precision": early,
    }


def _early_precision(scores: np.ndarray, truth: np.ndarray, count: int) -> float:
    edge = np.sort(scores)[-count]
    above, tied = scores > edge, scores == edge
    left = count - above.sum()
    return float((truth[above].sum() + left * truth[tied].mean()) / count)
