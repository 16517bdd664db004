import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import sparse

from sc_mamba2.tokens import clr, inverse_document_frequency, tf_idf


def plain_clr(row: list[float]) -> list[float]:
    logs = [np.log(1 + x) for x in row]
    mean = np.exp(sum(logs) / len(row))
    return [np.log(1 + x / mean) for x in row]


@given(st.lists(st.lists(st.integers(0, 500), min_size=4, max_size=4), min_size=1, max_size=5))
def test_clr_is_the_formula_written_out(rows):
    found = clr(sparse.csr_matrix(np.array(rows, dtype=float))).toarray()
    np.testing.assert_allclose(found, [plain_clr(row) for row in rows], rtol=1e-5)
    assert (found >= 0).all() and ((found == 0) == (np.array(rows) == 0)).all()


def test_clr_of_a_cell_does_not_depend_on_the_others():
    counts = sparse.csr_matrix(np.random.default_rng(0).poisson(20, (6, 9)).astype(float))
    assert (clr(counts)[3] != clr(counts[3])).nnz == 0


def test_tf_idf_is_the_formula_written_out():
    generator = np.random.default_rng(0)
    dense = (generator.random((7, 12)) < 0.4).astype(float)
    dense[:, 3] = 0
    binary = sparse.csr_matrix(dense)
    weights = inverse_document_frequency(binary)
    assert weights[3] == 7
    found = tf_idf(binary, weights).toarray()
    for cell in range(7):
        for peak in range(12):
            share = dense[cell, peak] / max(1, dense[cell].sum())
            expected = np.log(1 + 1e4 * share * 7 / max(1, dense[:, peak].sum()))
            assert found[cell, peak] == pytest.approx(expected, rel=1e-5)
