"""What values are is told by their structure: every scale in many forms, alone and mixed."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import sparse

from sc_mamba2.cells.cell_facts import CellFacts, compute_cell_facts
from sc_mamba2.cells.scale import CELL_TOTAL, decide_scale, find_common_total
from sc_mamba2.errors import UserError

CELLS, GENES, SOME = 80, 240, 60


def counts(seed: int = 0, depth: float = 1.0) -> np.ndarray:
    chance = np.random.default_rng(seed)
    means = chance.gamma(0.6, 1.2, GENES)
    return chance.poisson(chance.lognormal(0, 0.5, (CELLS, 1)) * means * depth).astype(float)


COUNTS = counts()
TOTALS = COUNTS.sum(axis=1, keepdims=True)
CHANCE = np.random.default_rng(1)
SHARES = COUNTS / TOTALS
MEDIAN = float(np.median(TOTALS))
TARGETS = [1e3, 1e4, 1e5, 1e6, MEDIAN, 1234.5]
FUNCTIONS = {
    "log1p": np.log1p,
    "log2": lambda values: np.log2(values + 1),
    "log10": lambda values: np.log10(values + 1),
    "sqrt": np.sqrt,
    "arcsinh": np.arcsinh,
    "linear": lambda values: values,
}
DECIMALS = {
    "soup, a share of each value": COUNTS * CHANCE.uniform(0.88, 0.99, COUNTS.shape),
    "soup, one share": COUNTS * 0.93,
    "decontx": COUNTS * CHANCE.beta(20, 1, COUNTS.shape),
    "em, some with fractions": COUNTS + (COUNTS > 0) * (CHANCE.random(COUNTS.shape) < 0.3) * 0.37,
    "em, thirds": COUNTS + (COUNTS > 0) * CHANCE.choice([0, 0, 0, 1 / 3, 1 / 2], COUNTS.shape),
    "deep": counts(3, 60.0) * CHANCE.uniform(0.7, 1.2, COUNTS.shape),
}


def facts_of(values: np.ndarray, dtype: str = "f4") -> CellFacts:
    matrix = sparse.csr_matrix(values.astype(dtype).astype("f4"))
    matrix.eliminate_zeros()
    return compute_cell_facts(matrix)


def scale_of(values: np.ndarray, dtype: str = "f4"):
    return decide_scale(facts_of(values, dtype))


def log_of(values: np.ndarray) -> np.ndarray:
    matrix = sparse.csr_matrix(values.astype("f4"))
    return scale_of(values).log_normalise(matrix).toarray()


EXPECTED = np.log1p(SHARES * CELL_TOTAL)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("total", TARGETS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_one_total_is_undone(name, total, dtype):
    values = FUNCTIONS[name](SHARES * total).astype(dtype)
    np.testing.assert_allclose(log_of(values), EXPECTED, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("total", TARGETS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_also_where_most_genes_were_left_out_afterwards(name, total):
    values = FUNCTIONS[name](SHARES * total)[:, :SOME]
    np.testing.assert_allclose(log_of(values), EXPECTED[:, :SOME], rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["log1p", "log2", "log10", "sqrt", "arcsinh"])
def test_a_function_of_counts_that_were_not_scaled(name):
    np.testing.assert_allclose(log_of(FUNCTIONS[name](COUNTS)), EXPECTED, rtol=1e-3, atol=1e-5)


def test_size_factors_are_undone():
    factors = TOTALS / TOTALS.mean() * np.random.default_rng(2).uniform(0.8, 1.2, TOTALS.shape)
    values = np.log2(COUNTS / factors + 1)
    scale = scale_of(values)
    assert "different factor" in scale.words and scale.remark
    np.testing.assert_allclose(log_of(values), EXPECTED, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("most", [1, 2, 5, 40])
def test_whole_numbers_are_counts_however_small(most, dtype):
    assert scale_of(np.minimum(COUNTS, most), dtype).kind == "counts"


@pytest.mark.parametrize("name", DECIMALS)
def test_counts_with_decimals_are_counts(name):
    scale, values = scale_of(DECIMALS[name]), DECIMALS[name]
    assert scale.function == "x" and scale.total is None and scale.remark
    expected = np.log1p(values / values.sum(axis=1, keepdims=True) * 1e4)
    np.testing.assert_allclose(log_of(values), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("value", [9.5, 30.5, 3000.25])
@pytest.mark.parametrize("name", list(DECIMALS)[:5])
def test_one_value_does_not_flip_the_reading(name, value):
    values = DECIMALS[name].copy()
    values[3, 5] = value
    assert scale_of(values).function == "x"


RANKS = np.where(COUNTS > 0, COUNTS.argsort(axis=1).argsort(axis=1) + 1, 0)
NOTHING_KNOWN = {
    "logarithms as whole hundredths": np.rint(100 * np.log1p(SHARES * 1e4)),
    "logarithms as whole thousandths": np.rint(1000 * np.log1p(SHARES * 1e4)),
    "logarithms rounded to tenths": np.round(np.log1p(SHARES * 1e4), 1),
    "logarithms rounded": np.rint(np.log1p(SHARES * 1e4)),
    "large logarithms, a factor a gene": np.log2(SHARES * 1e9 / CHANCE.gamma(1, 1, GENES) + 1),
    "over the deviation of each gene": EXPECTED / EXPECTED.std(axis=0).clip(1e-3),
    "ranks": RANKS,
    "bins": np.ceil(RANKS / RANKS.max(axis=1, keepdims=True) * 50),
    "one added": COUNTS + 1,
    "Freeman and Tukey": np.sqrt(COUNTS) + np.sqrt(COUNTS + 1),
    "Anscombe": 2 * np.sqrt(COUNTS + 3 / 8),
    "scaled, then moved above 0": (MOVED := (EXPECTED - EXPECTED.mean(axis=0)) * 2) - MOVED.min(),
    "0 to 1 a gene": COUNTS / COUNTS.max(axis=0).clip(1),
    "log values of unit length": np.log1p(SHARES * 1e4) / np.linalg.norm(EXPECTED, axis=1)[:, None],
    "log values over the largest": EXPECTED / EXPECTED.max(axis=0).clip(1),
    "smoothed over other cells": EXPECTED * CHANCE.gamma(4, 0.25, COUNTS.shape),
    "chance": CHANCE.gamma(1, 0.3, COUNTS.shape),
}


@pytest.mark.parametrize("name", NOTHING_KNOWN)
def test_what_fits_nothing_is_refused_with_what_was_seen(name):
    with pytest.raises(UserError) as caught:
        scale_of(NOTHING_KNOWN[name])
    assert caught.value.rule in ("matrix-scale", "matrix-mixed")


FORMS = {
    "counts": COUNTS,
    "soup": DECIMALS["soup, a share of each value"],
    "log1p": EXPECTED,
    "log2": np.log2(SHARES * 1e6 + 1),
    "shares": SHARES,
}


@pytest.mark.parametrize("few", [4, CELLS // 2])
@pytest.mark.parametrize(
    ("one", "other"),
    [("log1p", "counts"), ("log1p", "soup"), ("log1p", "log2"), ("log2", "counts")],
)
def test_cells_of_two_scales_are_named(one, other, few):
    mixed = FORMS[one].copy()
    mixed[:few] = FORMS[other][:few]
    with pytest.raises(UserError) as caught:
        scale_of(mixed)
    assert caught.value.rule == "matrix-mixed" and "cells with" in caught.value.found


def test_totals_of_two_batches_are_both_undone():
    values = EXPECTED.copy()
    values[::2] = np.log1p(SHARES[::2] * MEDIAN)
    np.testing.assert_allclose(log_of(values), EXPECTED, rtol=2e-3, atol=1e-4)
    with pytest.raises(UserError, match="another"):  # not where sums cannot tell them
        scale_of(values[:, :SOME])


@pytest.mark.parametrize("total", [1e6, 2e5])
def test_whole_numbers_that_were_scaled_are_no_counts(total):
    for values in (np.rint(SHARES * total), np.round(SHARES * total / 100, 2), COUNTS * 7):
        scale = scale_of(values)
        assert (scale.kind, scale.function) == ("normalised", "x") and scale.remark
        np.testing.assert_allclose(log_of(values), EXPECTED, rtol=0.02, atol=1e-4)


@pytest.mark.parametrize("cells", [2, 5])
def test_whole_numbers_of_a_few_cells_are_no_logarithms_of_a_huge_total(cells):
    """All cells end at 50, where the sums of 10 to the power of it are alike."""
    with pytest.raises(UserError, match="whole numbers from"):
        scale_of(NOTHING_KNOWN["bins"][:cells])


def test_chance_in_a_few_cells_says_nothing():
    """Where ambient RNA was taken off, the values of a cell or two look like multiples."""
    ambient = np.maximum(COUNTS - 0.05 * TOTALS * SHARES.mean(axis=0), 0)
    for values in (ambient, DECIMALS["em, some with fractions"]):
        assert scale_of(values).words == "counts with decimals"


def test_a_few_cells_that_begin_high_are_counts_like_the_others():
    values = COUNTS.copy()
    values[:3] = np.where(values[:3] > 0, values[:3] + 6, 0)
    assert scale_of(values).words == "counts"


@pytest.mark.parametrize("digits", [3, 4, 6])
def test_rounded_logarithms_are_still_known(digits):
    scale = scale_of(np.round(EXPECTED, digits))
    assert (scale.function, scale.total) == ("log1p(x)", CELL_TOTAL)
    part = scale_of(np.round(EXPECTED[:, :SOME], digits))
    assert (part.function, part.total) == ("log1p(x)", CELL_TOTAL)


def test_denoised_shares_without_a_single_count():
    dense = COUNTS + CHANCE.gamma(0.5, 0.3, COUNTS.shape)
    dense /= dense.sum(axis=1, keepdims=True)
    for total in (1, 1e4):
        np.testing.assert_allclose(
            log_of(dense * total), np.log1p(dense * 1e4), rtol=1e-4, atol=1e-5
        )


def test_one_cell_alone():
    assert scale_of(COUNTS[:1]).kind == "counts"
    assert scale_of(EXPECTED[:1]).function == "log1p(x)"


def test_empty_cells_say_nothing():
    values = EXPECTED.copy()
    values[::3] = 0
    assert scale_of(values).total == CELL_TOTAL
    assert scale_of(values * 0).kind == "counts"


@given(st.integers(200, 4000), st.integers(0, 50))
@settings(max_examples=20)
def test_a_common_total_is_found_exactly(total, seed):
    molecules = np.random.default_rng(seed).integers(total // 4 + 2, total * 4, 60)
    units = (total / molecules).astype(np.float32)
    found, holds = find_common_total(units)
    assert found is not None and holds.all()
    assert total % found == 0 or found % total == 0 or found == pytest.approx(total)


@given(st.lists(st.integers(1, CELLS - 1), min_size=1, max_size=4, unique=True))
@settings(max_examples=20)
def test_facts_of_parts_are_those_of_the_whole(cuts):
    whole = facts_of(DECIMALS["decontx"])
    matrix = DECIMALS["decontx"]
    parts = np.split(np.arange(CELLS), sorted(cuts))
    joined = CellFacts.join(facts_of(matrix[part]) for part in parts)
    for name in vars(whole):
        np.testing.assert_allclose(getattr(joined, name), getattr(whole, name))


@pytest.mark.parametrize("genes", [30, 60])
def test_a_panel_of_genes_without_ones_is_counts(genes):
    chance = np.random.default_rng(0)
    panel = chance.poisson(8, (300, genes)) * (chance.random((300, genes)) < 0.5)
    assert scale_of(panel.astype(float)).kind == "counts"


def test_a_few_cells_of_even_counts_change_nothing():
    mixed = COUNTS.copy()
    mixed[: CELLS // 14] *= 2
    assert scale_of(mixed).kind == "counts"
