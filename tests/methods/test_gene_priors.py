"""Priors over genes: positive, sums of one, and each what its docstring says, by a slow twin."""

import numpy as np
import pytest
from scipy import sparse
from tests.methods.test_molecules import drawn

from sc_mamba2.methods.gene_priors import (
    GeneMeans,
    NearestCells,
    OwnCounts,
    SingularVectors,
    gene_means,
)
from sc_mamba2.methods.molecules import nats_per_cell, split_molecules

RATES, COUNTS = drawn((60, 40), molecules=300)
ROWS = np.array([3, 0, 59])
PRIORS = {
    "gene means": (GeneMeans(COUNTS), {}),
    "own counts": (OwnCounts(COUNTS), {"mean_molecules": 10}),
    "neighbours": (NearestCells(COUNTS, 5, 10), {"neighbours": 8, "kappa": 1.0}),
    "svd": (SingularVectors(COUNTS, 3), {"rank": 3}),
}


@pytest.mark.parametrize("name", PRIORS)
def test_rows_are_positive_and_sum_to_one(name: str):
    prior, numbers = PRIORS[name]
    told = prior(ROWS, **numbers)
    assert told.dtype == np.float32 and (told > 0).all()
    assert told.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert told[1] == pytest.approx(prior(np.array([0]), **numbers)[0], rel=1e-5)


def test_means_and_own_counts_are_those_of_the_slow_twin():
    dense = COUNTS.toarray().astype(np.float64)
    means = (dense.sum(axis=0) + 0.5) / (dense.sum() + 0.5 * 40)
    assert gene_means(COUNTS) == pytest.approx(means, rel=1e-12)
    own = (dense[ROWS] + 10 * means) / (dense[ROWS].sum(axis=1, keepdims=True) + 10)
    assert PRIORS["own counts"][0](ROWS, 10) == pytest.approx(own, rel=1e-5)


def test_neighbours_are_of_the_cells_kind_and_never_the_cell_itself():
    prior, means = NearestCells(COUNTS, 5, 10), gene_means(COUNTS)
    dense = COUNTS.toarray().astype(np.float64)
    for row in ROWS:
        near = prior._near_NK[row, 1:9]
        assert row not in near and set(near % 3) == {row % 3}
        summed = dense[near].sum(axis=0)
        slow = means * (2 + summed) / (2 + summed.sum() * means)
        told = prior(np.array([row]), neighbours=8, kappa=2.0)[0]
        assert told == pytest.approx(slow / slow.sum(), rel=1e-4)
    changed = COUNTS.tolil()
    changed[0] = COUNTS[0] * 3  # the same shares: the same neighbours
    again = NearestCells(sparse.csr_matrix(changed), 5, 10)
    assert again.sum_near(ROWS[1:2], 8).sum() == prior.sum_near(ROWS[1:2], 8).sum()


def test_singular_vectors_are_those_of_a_dense_decomposition():
    dense = COUNTS.toarray().astype(np.float64)
    left, values, right = np.linalg.svd(np.sqrt(dense / dense.sum(axis=1, keepdims=True)))
    low = np.maximum((left[:, :2] * values[:2]) @ right[:2], 0) ** 2
    slow = 0.5 * low / low.sum(axis=1, keepdims=True) + 0.5 * gene_means(COUNTS)
    assert SingularVectors(COUNTS, 3)(ROWS, rank=2) == pytest.approx(slow[ROWS], rel=1e-3)


@pytest.mark.parametrize("name", ["neighbours", "svd"])
def test_cells_of_few_kinds_are_told_better_than_by_the_gene_means(name: str):
    kept, held = split_molecules(COUNTS, 0.5, np.random.default_rng(0))
    every = np.arange(60)
    fitted = {"neighbours": NearestCells(kept, 5, 10), "svd": SingularVectors(kept, 3)}
    told = nats_per_cell(fitted[name](every, **PRIORS[name][1]), held).sum()
    assert told < nats_per_cell(GeneMeans(kept)(every), held).sum()


def test_an_empty_cell_has_a_prior():
    counts = sparse.vstack([COUNTS, sparse.csr_matrix((1, 40), dtype=np.float32)], format="csr")
    for prior, numbers in (
        (NearestCells(counts, 5, 10), {"neighbours": 8, "kappa": 1.0}),
        (SingularVectors(counts, 3), {"rank": 3}),
    ):
        assert prior(np.array([60]), **numbers).sum() == pytest.approx(1, abs=1e-5)
