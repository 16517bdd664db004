"""Cells move as their mean is to move; moments and reliability against what they stand for."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import sparse

from sc_mamba2.methods.mean_changes import affine, changed_cells, mean_change, moments, reliability


@given(st.floats(0, 1), st.integers(0, 30))
def test_the_mean_moves_by_the_change_and_no_value_is_negative(share, seed):
    generator = np.random.default_rng(seed)
    values = generator.poisson(0.8, (40, 9)) * generator.uniform(0.5, 1, (40, 9))
    values[:, 0] = 0
    control = values.mean(axis=0)
    change = generator.normal(0, 1, 9)
    scale, shift = affine(change, control, share, 2.0)
    cells = scale * values + shift
    assert (cells >= 0).all()
    np.testing.assert_allclose(
        cells.mean(axis=0) - control, np.maximum(change, -control), atol=1e-9
    )
    matrix = sparse.csr_matrix(values)
    one = mean_change(matrix, change[None], share, 2.0)
    np.testing.assert_allclose(one, np.maximum(change, -control), atol=1e-9)
    each = mean_change(matrix, np.repeat(change[None], 40, axis=0), share, 2.0)
    np.testing.assert_allclose(each, one, atol=1e-9)
    stored = changed_cells(matrix, change[None], control, share, 2.0).toarray()
    np.testing.assert_allclose(stored, cells, atol=1e-5)


def test_a_gene_that_falls_stays_absent_where_it_was():
    scale, shift = affine(np.array([-0.5]), np.array([1.0]), 0.5, 2.0)
    assert scale == pytest.approx(0.5) and shift == 0


def test_moments_are_those_of_numpy():
    values = np.random.default_rng(1).poisson(1.0, (7, 4)).astype(np.float32)
    mean, variance = moments(sparse.csr_matrix(values))
    np.testing.assert_allclose(mean, values.astype(float).mean(0))
    np.testing.assert_allclose(variance, values.astype(float).var(0, ddof=1))


def test_reliability_is_near_the_share_that_is_real():
    generator = np.random.default_rng(2)
    truth = generator.normal(0, 1, 4000)
    noise = generator.normal(0, 2, 4000)
    delta, error = (truth + noise)[None], np.full((1, 4000), 4.0)
    assert reliability(delta, error)[0] == pytest.approx(1 / 5, abs=0.05)
    shrunk = reliability(delta, error)[0] * delta[0]
    assert ((shrunk - truth) ** 2).mean() < 0.5 * ((delta[0] - truth) ** 2).mean()
    assert reliability(np.zeros((1, 3)), np.ones((1, 3)))[0] == 0
