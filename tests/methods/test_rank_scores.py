"""Rank scores against ranks of the dense matrix, and what they do not know."""

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy import sparse
from scipy.stats import norm, rankdata, ttest_ind

from sc_mamba2.methods.rank_scores import DirectionPrototypes, marker_genes, rank_scores


def cells(seed, shape=(12, 30), density=0.4):
    return sparse.random(*shape, density, "csr", random_state=seed)


@given(st.integers(0, 1000), st.floats(0, 1))
def test_scores_are_those_of_dense_ranks(seed, density):
    values_NG = cells(seed, density=density)
    genes = values_NG.shape[1]
    expected = norm.ppf(np.apply_along_axis(rankdata, 1, values_NG.toarray()) / (genes + 1))
    np.testing.assert_allclose(rank_scores(values_NG).of(np.arange(genes)), expected, atol=1e-12)


@given(st.integers(0, 1000), st.floats(0.1, 100))
def test_neither_a_factor_nor_a_logarithm_changes_them(seed, factor):
    values_NG, every = cells(seed), np.arange(30)
    scores = rank_scores(values_NG).of(every)
    np.testing.assert_allclose(
        rank_scores((values_NG * factor).log1p()).of(every), scores, atol=1e-9
    )


def test_markers_are_the_highest_by_welch():
    values_NG = cells(0, (60, 40))
    classes_N = np.arange(60) % 3
    scores = rank_scores(values_NG)
    dense = scores.of(np.arange(40))
    expected = set()
    for own in range(3):
        inside, outside = dense[classes_N == own], dense[classes_N != own]
        mean = inside.mean(axis=0) - outside.mean(axis=0)
        spread = inside.var(axis=0) / len(inside) + outside.var(axis=0) / len(outside)
        expected |= set(np.argsort(-mean / np.sqrt(spread + 1e-6), kind="stable")[:5])
        # The usual estimate differs by the degrees of freedom alone.
        t = ttest_ind(inside, outside, equal_var=False).statistic
        assert np.corrcoef(t, mean / np.sqrt(spread + 1e-6))[0, 1] > 0.999
    assert set(marker_genes(scores, classes_N, 5)) == expected


def test_one_class_alone_has_every_gene():
    assert len(marker_genes(rank_scores(cells(0)), np.zeros(12, int), 3)) == 30


def test_the_nearest_direction_is_its_own_and_a_class_without_cells_is_never_called():
    generator = np.random.default_rng(0)
    centres = np.eye(3, 8) * 5
    classes_N = np.arange(90) % 3
    scores_NF = centres[classes_N] + generator.normal(size=(90, 8))
    classes_N = classes_N + (classes_N == 2)  # 0, 1 and 3 of four
    fitted = DirectionPrototypes.fit(scores_NF, classes_N, 4)
    cosine_NK = fitted.cosines(scores_NF)
    assert (cosine_NK.argmax(axis=1) == classes_N).mean() > 0.97
    assert (cosine_NK[:, 2] == -1).all() and (np.abs(cosine_NK) <= 1 + 1e-9).all()


def test_a_class_of_many_cells_weighs_as_much_as_one_of_few():
    scores_NF = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]])
    fitted = DirectionPrototypes.fit(scores_NF, np.array([0, 0, 0, 1]), 2)
    np.testing.assert_allclose(fitted.centre_F, [0.5, 0.5])
    assert fitted.cosines(np.array([[0.2, 0.9]])).argmax() == 1


@pytest.mark.parametrize("shape", [(1, 5), (3, 1)])
def test_the_smallest_files_have_scores(shape):
    assert np.isfinite(rank_scores(cells(1, shape, 1.0)).of(np.arange(shape[1]))).all()
