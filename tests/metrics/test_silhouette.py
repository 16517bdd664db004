"""Silhouette widths against the plain twin; the sample of cells by what it promises."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from tests.metrics import plain

from sc_mamba2.metrics.groups import silhouette_widths, spread_sample


@given(plain.scenes())
def test_against_the_plain_twin(scene):
    points, labels, _ = scene
    got = silhouette_widths(points, labels)
    if got is not None:
        assert got == pytest.approx(np.array(plain.silhouettes(points, labels)), abs=1e-9)


def test_cells_on_one_spot():
    assert silhouette_widths(np.ones((4, 2)), np.array([0, 0, 1, 1])).tolist() == [0] * 4


def test_single_precision_far_from_the_origin_loses_nothing():
    points, labels, _ = plain.blobs(60)
    far = (points + 1000).astype(np.float32)
    expected = silhouette_widths(far.astype(np.float64) - 1000, labels)
    assert silhouette_widths(far, labels) == pytest.approx(expected, abs=1e-6)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2)), min_size=1, max_size=200),
    st.integers(1, 250),
)
def test_a_sample_keeps_the_share_of_every_group(groups, most):
    labels, batches = (np.array(part) for part in zip(*groups, strict=True))
    rows = spread_sample([labels, batches], most)
    cells = len(labels)
    assert len(rows) == min(most, cells) and (np.diff(rows) > 0).all()
    for label, batch in set(groups):
        among = (labels == label) & (batches == batch)
        assert abs(among[rows].sum() - among.sum() * len(rows) / cells) <= 1
