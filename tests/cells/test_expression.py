"""Which matrix is taken, what is refused, and the logarithm against a plain twin."""

import math

import anndata as ad
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from sc_mamba2.cells import Expression, choose_expression, log_normalise
from sc_mamba2.errors import UserError

COUNTS = np.array([[3, 0, 1], [0, 2, 0]], dtype=np.float32)
LOGGED = np.log1p(COUNTS * 0.7)
SCALED = LOGGED - LOGGED.mean(axis=0)
FORMS = [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array]


def cells_with(x=None, raw=None, **layers) -> ad.AnnData:
    cells = ad.AnnData(
        X=raw if raw is not None else x, shape=None if x is not None else COUNTS.shape
    )
    if raw is not None:
        cells.raw = cells
        cells.X = x
    for name, matrix in layers.items():
        cells.layers[name] = matrix
    return cells


@pytest.mark.parametrize(
    ("cells", "origin", "kind"),
    [
        (cells_with(COUNTS, COUNTS, counts=COUNTS), "layers[counts]", "counts"),
        (cells_with(COUNTS, COUNTS), "raw.X", "counts"),
        (cells_with(COUNTS, LOGGED), "X", "counts"),
        (cells_with(LOGGED, LOGGED, counts=COUNTS), "layers[counts]", "counts"),
        (cells_with(COUNTS, LOGGED, counts=LOGGED), "X", "counts"),
        (cells_with(LOGGED, LOGGED, counts=LOGGED), "raw.X", "log_normalised"),
        (cells_with(SCALED, LOGGED), "raw.X", "log_normalised"),
        (cells_with(LOGGED, SCALED), "X", "log_normalised"),
        (cells_with(SCALED, counts=COUNTS), "layers[counts]", "counts"),
        (cells_with(LOGGED * 1e4), "X", "normalised"),
        (cells_with(np.full_like(COUNTS, np.nan), COUNTS), "raw.X", "counts"),
        (cells_with(None, counts=COUNTS), "layers[counts]", "counts"),
    ],
)
def test_the_order_of_choice(cells, origin, kind):
    expression = choose_expression(cells)
    assert (expression.origin, expression.kind) == (origin, kind)


def test_a_named_layer_is_taken_whatever_else_is_there():
    cells = cells_with(COUNTS, counts=COUNTS, logged=LOGGED)
    expression = choose_expression(cells, layer="logged")
    assert (expression.origin, expression.kind) == ("layers[logged]", "log_normalised")
    assert np.array_equal(expression.matrix.toarray(), LOGGED)
    assert choose_expression(cells_with(COUNTS, counts=LOGGED), layer="counts").kind != "counts"


def test_raw_brings_its_own_genes():
    wide = ad.AnnData(X=COUNTS)
    wide.var_names = ["a", "b", "c"]
    cells = wide[:, ["b"]].copy()
    cells.X = sparse.csr_matrix(np.array([[-1.0], [0.5]]))
    cells.raw = wide
    assert list(choose_expression(cells).genes.index) == ["a", "b", "c"]


def test_missing_layer_names_the_nearest():
    with pytest.raises(UserError) as caught:
        choose_expression(cells_with(COUNTS, counts=COUNTS), layer="count")
    assert caught.value.rule == "layer-missing" and "'counts'" in caught.value.mend


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (np.nan, "1 NaN or infinite"),
        (np.inf, "1 NaN or infinite"),
        (-0.5, "negative"),
        (1e39, "too large"),
    ],
)
@pytest.mark.parametrize("form", FORMS[:3])
def test_refused_values(value, word, form):
    matrix = COUNTS.astype(np.float64)
    matrix[0, 0] = value
    with pytest.raises(UserError) as caught:
        choose_expression(ad.AnnData(X=form(matrix)))
    assert caught.value.rule == "matrix-unusable" and word in caught.value.found


@pytest.mark.parametrize(
    ("matrix", "word"),
    [
        (np.zeros((2, 3)), "zero everywhere"),
        (sparse.csr_matrix((2, 3)), "zero everywhere"),
        (np.array([["1", "2"]], dtype=object), "not numbers"),
        (np.array([["1", "2"]]), "not numbers"),
        (np.array([[1j, 2]]), "complex"),
    ],
)
def test_refused_matrices(matrix, word):
    with pytest.raises(UserError) as caught:
        choose_expression(ad.AnnData(X=matrix))
    assert caught.value.rule == "matrix-unusable" and word in caught.value.found


def test_every_fault_is_told_and_counts_that_are_none_too():
    cells = cells_with(SCALED, np.zeros_like(COUNTS), counts=LOGGED)
    with pytest.raises(UserError) as caught:
        choose_expression(cells)
    for part in ("layers[counts] holds no counts", "raw.X is zero", "X holds negative"):
        assert part in caught.value.found


def test_no_matrix_at_all():
    with pytest.raises(UserError, match="no matrix"):
        choose_expression(cells_with(None))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "dtype",
    ["bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8", "longdouble"],
)
def test_forms_and_dtypes_are_one(form, dtype):
    counts = (COUNTS > 0).astype(dtype) if dtype == "bool" else COUNTS.astype(dtype)
    expression = choose_expression(ad.AnnData(X=form(counts)))
    assert expression.kind == "counts"
    assert expression.matrix.format == "csr" and expression.matrix.dtype == np.float32
    assert np.array_equal(expression.matrix.toarray(), counts.astype(np.float32))


def test_half_precision():
    assert np.array_equal(
        choose_expression(ad.AnnData(X=COUNTS.astype("f2"))).matrix.toarray(), COUNTS
    )


def test_duplicates_are_summed_zeros_removed_and_the_input_kept():
    parts = [np.array([1, 0, 2, 3], "f4"), np.array([2, 0, 1, 1]), np.array([0, 2, 4])]
    cells = ad.AnnData(X=sparse.csr_matrix(tuple(parts), shape=(2, 3)))
    before = [part.copy() for part in (cells.X.data, cells.X.indices, cells.X.indptr)]
    matrix = choose_expression(cells).matrix
    assert matrix.toarray().tolist() == [[0, 0, 1], [0, 5, 0]] and matrix.nnz == 2
    for old, now in zip(before, (cells.X.data, cells.X.indices, cells.X.indptr), strict=True):
        assert np.array_equal(old, now)


counts_matrices = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.integers(0, 5000)
).filter(np.any)


def plain_log_normalised(counts: np.ndarray) -> np.ndarray:
    rows = []
    for row in counts:
        total = sum(map(int, row))
        rows.append([math.log1p(int(value) * 1e4 / total) if total else 0.0 for value in row])
    return np.array(rows)


@given(counts_matrices)
def test_log_normalise_against_the_plain_twin(counts):
    expression = choose_expression(ad.AnnData(X=sparse.csr_matrix(counts)))
    before = expression.matrix.copy()
    logged = log_normalise(expression)
    assert logged.dtype == np.float32
    np.testing.assert_allclose(logged.toarray(), plain_log_normalised(counts), rtol=1e-6)
    assert (expression.matrix != before).nnz == 0


def test_normalised_values_are_brought_to_the_same_total():
    shares = COUNTS / COUNTS.sum(axis=1, keepdims=True) * 1e6 + 0.25 * (COUNTS > 0)
    logged = log_normalise(choose_expression(ad.AnnData(X=shares)))
    np.testing.assert_allclose(np.expm1(logged.toarray()).sum(axis=1), 1e4, rtol=1e-5)


def test_log_normalised_values_come_back_as_a_copy():
    expression = choose_expression(ad.AnnData(X=LOGGED))
    logged = log_normalise(expression)
    assert np.array_equal(logged.toarray(), LOGGED)
    logged.data[:] = 0
    assert np.array_equal(expression.matrix.toarray(), LOGGED)


def test_expression_is_frozen():
    expression = choose_expression(ad.AnnData(X=COUNTS))
    assert isinstance(expression, Expression)
    with pytest.raises(AttributeError):
        expression.kind = "counts"
