"""Scores of edges against plain loops."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from sc_mamba2.metrics.retrieval import edge_scores


def slow(scores, truth):
    """Average precision and early precision of distinct scores, by the book."""
    order = sorted(range(len(scores)), key=lambda at: -scores[at])
    found, precisions = 0, []
    for place, at in enumerate(order, start=1):
        if truth[at]:
            found += 1
            precisions.append(found / place)
    early = sum(bool(truth[at]) for at in order[: len(precisions)]) / len(precisions)
    return float(np.mean(precisions)), early


@given(st.permutations(range(12)), st.sets(st.integers(0, 11), min_size=1, max_size=11))
def test_distinct_scores_are_scored_by_the_book(order, edges):
    scores, truth = np.array(order, dtype=float), np.isin(np.arange(12), list(edges))
    found, (auprc, early) = edge_scores(scores, truth), slow(order, truth)
    assert found["auprc"] == pytest.approx(auprc)
    assert found["early_precision"] == pytest.approx(early)
    assert found["auprc_ratio"] == pytest.approx(auprc / truth.mean())
    assert found["early_precision_ratio"] == pytest.approx(early / truth.mean())


def test_equal_scores_are_chance_and_right_ones_are_best():
    truth = np.arange(20) < 4
    flat, right = edge_scores(np.zeros(20), truth), edge_scores(truth.astype(float), truth)
    assert flat["auprc_ratio"] == flat["early_precision_ratio"] == pytest.approx(1)
    assert right["auprc"] == right["early_precision"] == 1
