"""Molecules held out: the split, the posterior beside its slow twin, and what the score prefers."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from sc_mamba2.methods.molecules import (
    PLAIN,
    choose_numbers,
    mean_and_error,
    nats_per_cell,
    posterior_rates,
    rates_by_block,
    split_molecules,
)

COUNTS = arrays(np.float32, (4, 6), elements=st.integers(0, 50).map(float))
SHAPES = st.sampled_from([0.2, 1.0, 5.0])


def drawn(shape: tuple[int, int], molecules: int = 400, seed: int = 0):
    """Return true rates of a few kinds of cells, and multinomial counts of them."""
    generator = np.random.default_rng(seed)
    kinds_KG = generator.dirichlet(np.full(shape[1], 0.5), size=3)
    rates_NG = kinds_KG[np.arange(shape[0]) % 3]
    counts = np.stack([generator.multinomial(molecules, rates) for rates in rates_NG])
    return rates_NG, sparse.csr_matrix(counts.astype(np.float32))


@given(COUNTS, st.floats(0.05, 0.95), st.integers(0, 9))
def test_a_split_sums_to_the_counts_and_changes_nothing(counts, share, seed):
    whole = sparse.csr_matrix(counts)
    kept, held = split_molecules(whole, share, np.random.default_rng(seed))
    assert (kept + held != whole).nnz == 0 and np.array_equal(whole.toarray(), counts)
    assert kept.dtype == held.dtype == counts.dtype
    assert (kept.data > 0).all() and (held.data > 0).all()


def test_a_split_keeps_its_share():
    whole = sparse.csr_matrix(np.full((50, 40), 100.0))
    kept, _ = split_molecules(whole, 0.3, np.random.default_rng(0))
    assert kept.sum() / whole.sum() == pytest.approx(0.3, abs=0.003)


@given(COUNTS, SHAPES)
def test_the_posterior_is_that_of_the_slow_twin(counts, phi):
    prior = np.random.default_rng(0).dirichlet(np.ones(6), size=4)
    counts = counts.astype(np.float64)
    fast = posterior_rates(prior, counts, phi)
    for row in range(4):
        molecules = math.fsum(counts[row])
        slow = [
            prior[row, gene] * (phi + counts[row, gene]) / (phi + molecules * prior[row, gene])
            for gene in range(6)
        ]
        assert fast[row] == pytest.approx(np.array(slow) / math.fsum(slow), rel=1e-12)
    assert fast.dtype == np.float64
    assert posterior_rates(prior.astype(np.float32), counts, phi) == pytest.approx(fast, rel=1e-5)


@given(COUNTS)
def test_the_posterior_goes_from_the_prior_to_the_cells_own_shares(counts):
    prior = np.random.default_rng(0).dirichlet(np.ones(6), size=4)
    assert posterior_rates(prior, counts, PLAIN) is prior
    assert posterior_rates(prior, counts, 1e9) == pytest.approx(prior, rel=1e-5)
    assert posterior_rates(prior, np.zeros_like(counts), 1.0) == pytest.approx(prior)
    full = counts.sum(axis=1) > 0
    shares = counts[full] / counts[full].sum(axis=1, keepdims=True)
    assert posterior_rates(prior, counts, 1e-9)[full] == pytest.approx(shares, abs=1e-4)


def test_nats_are_those_of_the_slow_twin():
    rates, counts = drawn((5, 8))
    held = counts.toarray().astype(np.float64)
    slow = [-sum(held[n, g] * math.log(rates[n, g]) for g in range(8)) for n in range(5)]
    assert nats_per_cell(rates, counts) == pytest.approx(slow, rel=1e-12)


@given(st.integers(0, 20))
def test_the_truth_tells_best(seed):
    rates, counts = drawn((30, 20), seed=seed)
    means = np.tile(rates.mean(axis=0), (30, 1))
    other = np.roll(rates, 1, axis=0)
    assert nats_per_cell(rates, counts).sum() < nats_per_cell(means, counts).sum()
    assert nats_per_cell(rates, counts).sum() < nats_per_cell(other, counts).sum()


def test_the_numbers_that_tell_best_are_chosen_for_each_phi():
    rates, counts = drawn((30, 20))
    kept, held = split_molecules(counts, 0.5, np.random.default_rng(0))

    def prior(rows: np.ndarray, share: float) -> np.ndarray:
        return share * rates[rows] + (1 - share) / 20

    grid = [{"share": 0.0}, {"share": 1.0}, {"share": 0.5}]
    rows = np.arange(3, 30)
    found = choose_numbers("mixed", prior, grid, (PLAIN, 1.0), kept, held, rows, 7)
    assert [one.numbers["share"] for one in found] == [1.0, 1.0]
    assert [one.phi for one in found] == [PLAIN, 1.0]
    whole = nats_per_cell(rates[rows], held[rows]).sum() / held[rows].sum()
    assert found[0].nats == pytest.approx(whole)
    told = np.concatenate([r for _, r in rates_by_block(prior, found[1], kept, rows, 4)])
    assert told == pytest.approx(posterior_rates(rates[rows], kept[rows].toarray(), 1.0))


def test_the_error_is_that_of_the_bootstrap():
    generator = np.random.default_rng(0)
    molecules = generator.integers(50, 500, 400).astype(float)
    nats = molecules * generator.normal(0.1, 0.3, 400)
    mean, error = mean_and_error(nats, molecules)
    draws = generator.integers(0, 400, (2000, 400))
    again = nats[draws].sum(axis=1) / molecules[draws].sum(axis=1)
    assert mean == pytest.approx(nats.sum() / molecules.sum())
    assert error == pytest.approx(again.std(), rel=0.1)
    assert mean_and_error(np.zeros(3), np.ones(3)) == (0, 0)
