"""Which matrix is taken, what is refused, and the logarithm against a plain twin."""

import math

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from sc_mamba2.cells import expression, simulate_cells, standardise
from sc_mamba2.cells.expression import clean_matrix
from sc_mamba2.cells.scale import Scale
from sc_mamba2.cells.stored import StoredCells
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table

TABLE = load_gene_table()

COUNTS = np.array([[3, 0, 1], [0, 2, 0]], dtype=np.float32)
LOGGED = np.log1p(COUNTS * 0.7)
SCALED = LOGGED - LOGGED.mean(axis=0)
FORMS = [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array]


def choose_expression(cells: ad.AnnData, layer=None, **options):
    return expression.choose_expression(StoredCells.of(cells), TABLE, layer, **options)


def matrix_of(chosen):
    return clean_matrix(chosen.candidate.matrix.read(0, 10**6))


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
        (cells_with(LOGGED * 1e4), "X", "counts"),
        (cells_with(np.full_like(COUNTS, np.nan), COUNTS), "raw.X", "counts"),
        (cells_with(None, counts=COUNTS), "layers[counts]", "counts"),
    ],
)
def test_the_order_of_choice(cells, origin, kind):
    chosen = choose_expression(cells)
    assert (chosen.candidate.origin, chosen.scale.kind) == (origin, kind)


def test_a_named_layer_is_taken_whatever_else_is_there():
    cells = cells_with(COUNTS, counts=COUNTS, logged=LOGGED)
    chosen = choose_expression(cells, layer="logged")
    assert (chosen.candidate.origin, chosen.scale.kind) == ("layers[logged]", "log_normalised")
    assert np.array_equal(matrix_of(chosen).toarray(), LOGGED)
    chosen = choose_expression(cells_with(COUNTS, counts=LOGGED), layer="counts")
    assert chosen.scale.kind != "counts"
    for name, origin in (("X", "X"), ("raw", "raw.X"), ("raw.X", "raw.X")):
        chosen = choose_expression(cells_with(COUNTS, COUNTS, counts=COUNTS), layer=name)
        assert chosen.candidate.origin == origin


def test_raw_brings_its_own_genes():
    wide = ad.AnnData(X=COUNTS)
    wide.var_names = ["a", "b", "c"]
    cells = wide[:, ["b"]].copy()
    cells.X = sparse.csr_matrix(np.array([[-1.0], [0.5]]))
    cells.raw = wide
    assert list(choose_expression(cells).candidate.genes.index) == ["a", "b", "c"]


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
    chosen = choose_expression(ad.AnnData(X=form(counts)))
    assert chosen.scale.kind == "counts"
    matrix = matrix_of(chosen)
    assert matrix.format == "csr" and matrix.dtype == np.float32
    assert np.array_equal(matrix.toarray(), counts.astype(np.float32))


def test_half_precision():
    chosen = choose_expression(ad.AnnData(X=COUNTS.astype("f2")))
    assert np.array_equal(matrix_of(chosen).toarray(), COUNTS)


def test_duplicates_are_summed_zeros_removed_and_the_input_kept():
    parts = [np.array([1, 0, 2, 3], "f4"), np.array([2, 0, 1, 1]), np.array([0, 2, 4])]
    cells = ad.AnnData(X=sparse.csr_matrix(tuple(parts), shape=(2, 3)))
    before = [part.copy() for part in (cells.X.data, cells.X.indices, cells.X.indptr)]
    matrix = matrix_of(choose_expression(cells))
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
    matrix = sparse.csr_matrix(counts, dtype=np.float32)
    before = matrix.copy()
    logged = Scale("counts").log_normalise(matrix)
    assert logged.dtype == np.float32
    np.testing.assert_allclose(logged.toarray(), plain_log_normalised(counts), rtol=1e-6)
    assert (matrix != before).nnz == 0


def test_log_normalised_values_come_back_as_a_copy():
    chosen = choose_expression(ad.AnnData(X=LOGGED))
    matrix = matrix_of(chosen)
    logged = chosen.scale.log_normalise(matrix)
    assert np.array_equal(logged.toarray(), LOGGED)
    logged.data[:] = 0
    assert np.array_equal(matrix.toarray(), LOGGED)


def normalised(counts: np.ndarray) -> np.ndarray:
    return np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)


@pytest.fixture
def cut_cells() -> ad.AnnData:
    """Cells as scanpy's usual order leaves them: normalised, then cut to some genes, counts too."""
    whole = simulate_cells(60, 300)
    whole.layers["counts"] = whole.X.copy()
    whole.X = sparse.csr_matrix(normalised(whole.X.toarray()))
    return whole[:, ::3].copy()


def test_counts_that_lost_genes_after_normalising_give_way_to_what_was_normalised(cut_cells):
    standard, report = standardise(cut_cells, TABLE)
    assert report["expression"]["origin"] == "X"
    assert [remark["rule"] for remark in report["remarks"]] == ["counts-part"]
    np.testing.assert_allclose(standard.X.toarray(), cut_cells.X.toarray(), rtol=1e-6)


def test_they_give_way_to_raw_too_which_has_all_genes(cut_cells):
    whole = simulate_cells(60, 300)
    whole.X = sparse.csr_matrix(normalised(whole.X.toarray()))
    cut_cells.raw = whole
    cut_cells.X = cut_cells.X.toarray() - 1
    standard, report = standardise(cut_cells, TABLE)
    assert report["expression"]["origin"] == "raw.X" and standard.n_vars == 300


def test_they_give_way_to_counts_of_all_genes_in_raw(cut_cells):
    cut_cells.raw = simulate_cells(60, 300)
    cut_cells.X = cut_cells.X.toarray() - 1
    chosen = choose_expression(cut_cells)
    assert chosen.candidate.origin == "raw.X" and chosen.remarks[0]["rule"] == "counts-part"


@pytest.mark.parametrize("axis", ["cells", "genes"])
def test_counts_in_another_order_than_the_matrix_beside_them_are_refused(axis):
    cells = simulate_cells(60, 300)
    chance = np.random.default_rng(0)
    counts, order = chance.poisson(0.2, (60, 300)).astype("f4"), chance.permutation(300)
    cells.X = normalised(counts)
    cells.layers["counts"] = counts[:, order] if axis == "genes" else counts[order[order < 60]]
    with pytest.raises(UserError) as caught:
        choose_expression(cells)
    assert caught.value.rule == "matrix-apart"
    assert choose_expression(cells, "X").candidate.origin == "X"


@pytest.mark.parametrize("column", ["total_counts", "nCount_RNA"])
def test_counts_that_are_fewer_than_a_column_says_are_told(column):
    whole = simulate_cells(60, 300)
    whole.obs[column] = np.asarray(whole.X.sum(axis=1)).ravel()
    assert choose_expression(whole).remarks == []
    (remark,) = choose_expression(whole[:, ::3].copy()).remarks
    assert remark["rule"] == "counts-part" and column in remark["remark"]


@pytest.mark.parametrize("dtype", ["u1", "i1"])
def test_counts_that_reach_the_end_of_their_type_are_said(dtype):
    counts = simulate_cells(30, 60).X.toarray().astype(dtype)
    assert not choose_expression(ad.AnnData(X=counts)).scale.remark
    counts[3, 5] = np.iinfo(dtype).max
    assert "clipped" in choose_expression(ad.AnnData(X=counts)).scale.remark


def test_counts_of_all_genes_stay(cut_cells):
    cut_cells.X = normalised(cut_cells.layers["counts"].toarray())
    assert choose_expression(cut_cells).candidate.origin == "layers[counts]"
    only = ad.AnnData(cut_cells.layers["counts"], layers={"counts": cut_cells.layers["counts"]})
    assert choose_expression(only).candidate.origin == "layers[counts]"


def test_a_person_can_say_what_values_are():
    wild = np.random.default_rng(0).gamma(1, 0.3, (40, 60)).astype(np.float32)
    with pytest.raises(UserError) as caught:
        choose_expression(ad.AnnData(X=wild))
    assert caught.value.rule == "matrix-scale" and "ingestion.holds=" in caught.value.mend
    assert choose_expression(ad.AnnData(X=wild), holds="log_normalised").scale.total == 1e4
    assert "scm validate --holds" in caught.value.mend
    for kind in ("counts", "normalised"):
        chosen = choose_expression(ad.AnnData(X=wild), holds=kind)
        sums = np.expm1(chosen.scale.log_normalise(matrix_of(chosen)).toarray()).sum(axis=1)
        np.testing.assert_allclose(sums, 1e4, rtol=1e-4)


def test_raw_without_names_takes_those_of_the_matrix_with_the_same_values():
    cells = simulate_cells(30, 80)
    bare = ad.AnnData(cells.X.copy(), obs=cells.obs)
    logged = cells.copy()
    logged.X = sparse.csr_matrix(normalised(cells.X.toarray()))
    logged.raw = bare
    standard, report = standardise(logged, TABLE)
    assert report["expression"]["origin"] == "raw.X" and standard.n_vars == 80
    logged.raw = bare[:, ::-1].copy()
    standard, report = standardise(logged, TABLE)
    assert report["expression"]["origin"] == "X" and standard.n_vars == 80
    assert report["remarks"][0]["rule"] == "genes-unnamed"


def test_presence_alone_is_said():
    cells = simulate_cells(60, 300)
    cells.X.data[:] = 1
    remark = standardise(cells, TABLE)[1]["remarks"][0]
    assert remark["rule"] == "expression-scale" and "0 and 1" in remark["remark"]


def test_numbers_of_rows_are_no_names_by_which_matrices_are_compared():
    cells = simulate_cells(60, 300)
    cells.var = pd.DataFrame({"ensembl_id": cells.var_names}, index=[str(n) for n in range(300)])
    whole = cells.copy()
    cells = cells[:, ::3].copy()
    cells.var.index = [str(n) for n in range(100)]
    cells.raw = whole
    cells.X = sparse.csr_matrix(normalised(cells.X.toarray()))
    assert choose_expression(cells).scale.kind == "counts"


@pytest.mark.parametrize("kinds", [None, ["Gene Expression"] * 200 + ["Antibody Capture"] * 100])
def test_a_total_over_other_features_says_nothing_of_lost_genes(kinds):
    cells = simulate_cells(60, 300)
    cells.obs["total_counts"] = np.asarray(cells.X.sum(axis=1)).ravel() * (1 if kinds else 2)
    if kinds:
        cells.var["feature_types"] = kinds
    rules = [remark["rule"] for remark in choose_expression(cells).remarks]
    assert ("counts-part" in rules) == (kinds is None)


def test_a_column_that_is_there_twice_is_no_total():
    cells = simulate_cells(60, 300)
    total = pd.Series(1e6, index=cells.obs_names, name="total_counts")
    cells.obs = pd.concat([cells.obs, total, total], axis=1)
    assert not choose_expression(cells).remarks
