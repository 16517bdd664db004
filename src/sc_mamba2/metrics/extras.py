"""iLISI, cLISI, kBET and PCR, computed by scib-metrics where the extra `metrics` is installed.

scib-metrics brings JAX, which nothing else here needs: it is imported when a score is asked for.
Legend: N cells, D width of the embedding, E width of the one before.
"""

import warnings
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from sc_mamba2.metrics.groups import Groups, dense_codes, group_codes
from sc_mamba2.metrics.neighbours import nearest_neighbours

LISI_NEIGHBOURS = 90  # of scib: three times LISI's perplexity of 30
KBET_NEIGHBOURS = 50


def extra_scores_available() -> bool:
    """Say whether scib-metrics is installed."""
    return find_spec("scib_metrics") is not None


def extra_scores(
    embedding_ND: np.ndarray,
    labels: Groups | None,
    batches: Groups | None,
    before_NE: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, float | None]:
    """Score an embedding by scib-metrics (Luecken et al. 2022; Korsunsky et al. 2019 for LISI).

    Parameters
    ----------
    embedding_ND
        (N, D) finite numbers.
    labels, batches
        (N,) of the cells, or ``None``; a cell that lacks one that is given is left out.
    before_NE
        (N, E) embedding of the same cells without correction, such as their PCA; without it there
        is no PCR.
    seed
        Seed of an approximate search for neighbours.

    Returns
    -------
    dict
        Empty where scib-metrics is not installed, else, each 0 to 1 and higher is better,
        ``ilisi`` (batches mix among 90 neighbours), ``clisi`` (labels do not), ``kbet`` (share of
        cells whose neighbours of the same label have the label's share of batches, mean over the
        labels), ``pcr`` (share of the variance that the batch explains in `before_NE` and that is
        gone). ``None`` where labels or batches are missing, are one group only, or give no result.
    """
    if not extra_scores_available():
        return {}
    import scib_metrics
    from scib_metrics.nearest_neighbors import NeighborsResults

    cells = len(embedding_ND)
    label_codes = np.zeros(cells, int) if labels is None else group_codes(labels)
    batch_codes = np.zeros(cells, int) if batches is None else group_codes(batches)
    rows = np.flatnonzero((label_codes >= 0) & (batch_codes >= 0))
    scores: dict[str, float | None] = dict.fromkeys(("ilisi", "clisi", "kbet", "pcr"))
    if len(rows) < 4:  # fewer leave LISI a perplexity of 0
        return scores
    embedding = np.asarray(embedding_ND)[rows]
    label, batch = dense_codes(label_codes[rows]), dense_codes(batch_codes[rows])
    found = nearest_neighbours(embedding, LISI_NEIGHBOURS, seed)
    near = found.nearest(KBET_NEIGHBOURS)
    many = NeighborsResults(found.indices_NK, found.distances_NK)
    some = NeighborsResults(near.indices_NK, near.distances_NK)
    if batch.any():
        scores["ilisi"] = _number(lambda: scib_metrics.ilisi_knn(many, batch))
    if label.any():
        scores["clisi"] = _number(lambda: scib_metrics.clisi_knn(many, label))
    if batch.any() and labels is not None:
        scores["kbet"] = _number(lambda: scib_metrics.kbet_per_label(some, batch, label))
    if batch.any() and before_NE is not None:
        before = np.asarray(before_NE)[rows]
        scores["pcr"] = _number(
            lambda: scib_metrics.pcr_comparison(before, embedding, batch, categorical=True)
        )
    return scores


def _number(score: Callable[[], float]) -> float | None:
    """Return the score, or ``None`` where the library finds none: it warns, or its solver fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = float(score())
        except (ArithmeticError, RuntimeError, ValueError):  # ARPACK's failures are RuntimeErrors
            return None
    return value if np.isfinite(value) else None
