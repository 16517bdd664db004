"""All scores of batch mixing and cell-type separation of an integrated embedding.

iLISI, cLISI, kBET and PCR come from scib-metrics if the extra `metrics` is installed; it brings JAX, so it
is imported only when needed. Legend: N cells, D width of the embedding, E width of the uncorrected one.
"""

import warnings
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from sc_mamba2.errors import UserError
from sc_mamba2.metrics.clustering import RESOLUTIONS, asw_label, best_clustering
from sc_mamba2.metrics.groups import MAX_CELLS, Groups, dense_codes, group_codes
from sc_mamba2.metrics.mixing import asw_batch, graph_connectivity
from sc_mamba2.metrics.neighbours import nearest_neighbours

NEIGHBOURS = 15  # the cell itself included, as in scib


def integration_scores(
    embedding_ND: np.ndarray,
    labels: Groups | None,
    batches: Groups | None,
    seed: int = 0,
    *,
    resolutions: tuple[float, ...] = RESOLUTIONS,
    most: int = MAX_CELLS,
    before_NE: np.ndarray | None = None,
    extras: bool = True,
) -> dict[str, float | None]:
    """Score an embedding: whether types are kept apart and batches are mixed.

    ``avg_bio = mean(nmi, ari, asw_label)`` and ``avg_batch = mean(asw_batch, graph_connectivity)``,
    as reported by scGPT and later work, after scib 1.1 (Cui et al. 2024).

    Parameters
    ----------
    embedding_ND
        (N, D) finite numbers.
    labels, batches
        (N,) of the cells, or ``None``. ``None``, NaN and blank text count as missing; such cells are left
        out of the scores that need the value.
    seed
        Seed of Leiden and of the approximate neighbour search.
    resolutions
        Grid of Leiden, see `best_clustering`.
    most
        Most cells for the two silhouettes, evenly spread over labels and batches.
    before_NE
        (N, E) uncorrected embedding, for PCR.
    extras
        Whether to add the scores of scib-metrics if it is installed, see `extra_scores`.

    Returns
    -------
    dict
        ``avg_bio``, ``nmi``, ``ari``, ``asw_label``, ``avg_batch``, ``asw_batch``,
        ``graph_connectivity``: 0 to 1 (``ari`` may be slightly below 0), higher is better, ``None`` if
        undefined: without labels or with one class, without batches or with one batch; a mean is ``None``
        if any part is. ``resolution`` is the best one, ``silhouette_cells`` the most cells that the
        silhouettes used. With scib-metrics also ``ilisi``, ``clisi``, ``kbet``, ``pcr``.

    Raises
    ------
    UserError
        The embedding is empty or not finite, or the lengths differ.
    """
    embedding_ND = np.asarray(embedding_ND)
    _check(embedding_ND, {"labels": labels, "batches": batches, "embedding before": before_NE})
    neighbours = nearest_neighbours(embedding_ND, NEIGHBOURS, seed)
    best = None if labels is None else best_clustering(neighbours, labels, seed, resolutions)
    mixed = None
    if labels is not None and batches is not None:
        mixed = asw_batch(embedding_ND, labels, batches, most)
    scores: dict[str, float | None] = {
        "nmi": best.nmi if best else None,
        "ari": best.ari if best else None,
        "asw_label": None if labels is None else asw_label(embedding_ND, labels, most),
        "asw_batch": mixed,
        "graph_connectivity": None if labels is None else graph_connectivity(neighbours, labels),
    }
    scores = {
        "avg_bio": _mean(scores["nmi"], scores["ari"], scores["asw_label"]),
        "avg_batch": _mean(scores["asw_batch"], scores["graph_connectivity"]),
        **scores,
        "resolution": best.resolution if best else None,
        "silhouette_cells": float(min(most, len(embedding_ND))),
    }
    if extras:
        scores |= extra_scores(embedding_ND, labels, batches, before_NE, seed)
    return scores


def known_scores(scores: dict[str, float | None]) -> dict[str, float]:
    """Return the scores that are not ``None``, without the settings (resolution and silhouette cells)."""
    settings = ("resolution", "silhouette_cells")
    return {name: it for name, it in scores.items() if it is not None and name not in settings}


def _mean(*scores: float | None) -> float | None:
    known = [score for score in scores if score is not None]
    return float(np.mean(known)) if len(known) == len(scores) else None


def _check(embedding_ND: np.ndarray, others: dict[str, Groups | np.ndarray | None]) -> None:
    if embedding_ND.ndim != 2 or not embedding_ND.size or not np.isfinite(embedding_ND).all():
        shape = " x ".join(map(str, embedding_ND.shape))
        raise UserError(
            "scores-embedding",
            found=f"an embedding of shape {shape} that is empty, not a table or not finite",
            expected="finite numbers, one row per cell, at least one row and column",
            mend="remove cells without a finite embedding, or train again",
        )
    for name, part in others.items():
        if part is not None and len(part) != len(embedding_ND):
            raise UserError(
                "scores-lengths",
                found=f"{len(part):,} {name} for an embedding of {len(embedding_ND):,} cells",
                expected="one per cell, in the order of the embedding",
                mend="take both from the same cells",
            )


LISI_NEIGHBOURS = 90  # of scib: three times LISI's perplexity of 30
KBET_NEIGHBOURS = 50


def extra_scores_available() -> bool:
    """Whether scib-metrics is installed."""
    return find_spec("scib_metrics") is not None


def extra_scores(
    embedding_ND: np.ndarray,
    labels: Groups | None,
    batches: Groups | None,
    before_NE: np.ndarray | None = None,
    seed: int = 0,
) -> dict[str, float | None]:
    """Score an embedding by scib-metrics (Luecken et al. 2022; Korsunsky et al. 2019 for LISI).

    Parameters are as in `integration_scores`; cells without a label or batch, where given, are left out,
    and PCR needs `before_NE`.

    Returns
    -------
    dict
        Empty without scib-metrics, else, each 0 to 1 and higher is better: ``ilisi`` (batches mix among
        90 neighbours), ``clisi`` (labels do not), ``kbet`` (share of cells whose neighbours of the same
        label have the label's share of batches, mean over labels), ``pcr`` (share of the variance
        explained by batch in `before_NE` that is removed). ``None`` if labels or batches are missing or
        form a single group, or if there is no result.
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
    """Return the score, or ``None`` if it is not finite or its solver fails; warnings are suppressed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            value = float(score())
        except (ArithmeticError, RuntimeError, ValueError):  # ARPACK's failures are RuntimeErrors
            return None
    return value if np.isfinite(value) else None
