import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import sparse

from sc_mamba2.training.components import components


@given(st.integers(0, 50), st.integers(1, 3), st.integers(1, 6))
def test_components_are_those_of_the_dense_values_centred_by_batch(seed, batches, count):
    generator = np.random.default_rng(seed)
    codes = np.arange(30) % batches
    dense = generator.random((30, 9)) * (generator.random((30, 9)) < 0.5) + 3 * codes[:, None]
    scores, loadings = components(sparse.csr_matrix(dense), codes, count, seed)
    means = np.stack([dense[codes == batch].mean(axis=0) for batch in range(batches)])
    centred = dense - means[codes]
    expected = np.linalg.svd(centred, compute_uv=False)[:count]
    assert np.linalg.norm(scores, axis=0) == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(scores, centred @ loadings.T, atol=1e-8)
