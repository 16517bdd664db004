import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import sparse

from sc_mamba2.tasks.perturbation.population import (
    affine,
    ensemble_estimates,
    mean_change,
    predicted_cells,
)


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
    stored = predicted_cells(matrix, change[None], control, share, 2.0).toarray()
    np.testing.assert_allclose(stored, cells, atol=1e-5)


def test_a_gene_that_falls_stays_absent_where_it_was():
    scale, shift = affine(np.array([-0.5]), np.array([1.0]), 0.5, 2.0)
    assert scale == pytest.approx(0.5) and shift == 0


def test_resamples_spread_more_where_less_was_measured(parts):
    control = parts.start.effects.control_of("first")
    seen = parts.start.effects.rows["perturbation"][0]
    spread = {
        name: ensemble_estimates(parts.start, name, "first", control, 10, 0).std(axis=0).mean()
        for name in (seen, parts.asked)
    }
    assert min(spread.values()) > 0
    again = ensemble_estimates(parts.start, seen, "first", control, 10, 0).std(axis=0).mean()
    assert again == spread[seen]
