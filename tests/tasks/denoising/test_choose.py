"""The choice sees the inner split alone, and the score the outer one."""

import numpy as np
import pytest
from tests.tasks.denoising.conftest import COMPUTE, FEW

from sc_mamba2.methods.molecules import PLAIN, nats_per_cell, posterior_rates
from sc_mamba2.tasks.denoising import choose as module
from sc_mamba2.tasks.denoising.choose import (
    POSTERIOR,
    choose,
    choose_by,
    chosen_method,
    hold_out,
    split_phis,
)
from sc_mamba2.tasks.denoising.priors import candidates


def test_the_inner_split_is_of_what_the_outer_one_keeps(prepared):
    counts = prepared[0]
    outer, inner = hold_out(counts, FEW.split, 0)
    assert (outer.kept_NG + outer.held_NG != counts).nnz == 0
    assert (inner.kept_NG + inner.held_NG != outer.kept_NG).nnz == 0
    assert len(set(outer.rows_M)) == 60 and np.array_equal(outer.rows_M, inner.rows_M)
    again, _ = hold_out(counts, FEW.split, 0)
    other, _ = hold_out(counts, FEW.split, 1)
    assert (again.held_NG != outer.held_NG).nnz == 0 and (other.held_NG != outer.held_NG).nnz > 0


def test_what_is_scored_can_be_anything_without_a_change_of_the_choice(
    prepared, choices, monkeypatch
):
    counts, genes, _ = prepared

    def without_the_held_out_half(*parts):
        outer, inner = hold_out(*parts)
        return outer._replace(held_NG=None), inner

    monkeypatch.setattr(module, "hold_out", without_the_held_out_half)
    assert choose(counts, genes, FEW.split, FEW.priors, FEW.output, COMPUTE) == choices


def test_every_prior_stands_as_it_is_and_with_the_posterior(choices):
    plain = {name for name, one in choices.items() if one.phi == PLAIN}
    assert plain == {"gene_means", "own_counts", "neighbours", "svd"}
    assert choices.keys() - plain == {f"{name}{POSTERIOR}" for name in FEW.priors.names}
    for name, one in choices.items():
        assert one.prior == name.removesuffix(POSTERIOR)
        assert one.numbers in candidates(FEW.priors)[one.prior].grid


def test_a_prior_that_is_left_out_is_not_chosen(prepared, choices):
    priors = FEW.priors.model_copy(update={"names": ("svd",)})
    _, inner = hold_out(prepared[0], FEW.split, 0)
    found = choose_by(inner, prepared[1], priors, FEW.output, COMPUTE)
    assert chosen_method(found, priors) == "svd, posterior"
    assert found.keys() == choices.keys() - {"neighbours, posterior"}


def test_the_score_is_that_of_the_held_out_half(prepared, choices, judged):
    outer, _ = hold_out(prepared[0], FEW.split, 0)
    held, rows = outer.held_NG[outer.rows_M], outer.rows_M
    assert np.array_equal(judged.molecules_M, np.asarray(held.sum(axis=1)).ravel())
    for name, one in choices.items():
        prior = candidates(FEW.priors)[one.prior].fit(outer.kept_NG, prepared[1], COMPUTE)(
            rows, **one.numbers
        )
        rates = posterior_rates(prior, outer.kept_NG[rows].toarray(), one.phi)
        assert judged.nats[name] == pytest.approx(nats_per_cell(rates, held), rel=1e-5)
    told = judged.calibration
    assert told["values"].sum() == 60 * prepared[0].shape[1]
    totals = (told[["expected", "found"]].mul(told["values"], axis=0)).sum()
    assert totals.to_numpy() == pytest.approx(judged.molecules_M.sum(), rel=1e-4)


@pytest.mark.parametrize("phis", [(PLAIN,), (PLAIN, 1.0), (PLAIN, 1.0, 2.0), (PLAIN, *range(1, 7))])
def test_every_phi_is_tried_once(phis):
    first, others = split_phis(phis)
    assert sorted(first + others) == sorted(phis)
    assert first[0] == PLAIN and len(first) == min(2, len(phis))
