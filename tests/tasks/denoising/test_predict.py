"""Rates of all cells, and how they lie in the cells."""

import anndata as ad
import numpy as np
import pytest
from tests.tasks.denoising.conftest import COMPUTE, FEW

from sc_mamba2.cells import simulate_cells
from sc_mamba2.methods.molecules import posterior_rates
from sc_mamba2.tasks.denoising.choose import chosen_method
from sc_mamba2.tasks.denoising.genes import Written
from sc_mamba2.tasks.denoising.imputed import ImputedGenes
from sc_mamba2.tasks.denoising.predict import denoise, write_denoised
from sc_mamba2.tasks.denoising.priors import candidates

NOTHING = ImputedGenes((), np.zeros((90, 0)), {})
METRICS = {
    "run": {},
    "model": {"nats": 4.5},
    "data": {"chosen": {"prior": "svd", "phi": 1.0, "rank": 3}},
}
FACTS = {"run_id": "now", "version": "1", "seed": 0}


@pytest.fixture(scope="module")
def rates(prepared, choices) -> np.ndarray:
    return denoise(*prepared, choices, FEW.priors, FEW.output, COMPUTE)


def test_rates_are_of_all_counts_and_sum_to_ten_thousand(prepared, choices, rates):
    counts, genes, written = prepared
    one = choices[chosen_method(choices, FEW.priors)]
    prior = candidates(FEW.priors)[one.prior].fit(counts, genes, COMPUTE)(
        np.arange(90), **one.numbers
    )
    whole = 1e4 * posterior_rates(prior, counts.toarray(), one.phi)
    assert rates[:, written.places_K] == pytest.approx(whole[:, written.genes_K], rel=1e-4)
    assert rates.dtype == np.float32 and rates.sum(axis=1) == pytest.approx(1e4, rel=1e-4)


def test_blocks_change_nothing(prepared, choices, rates):
    small = FEW.output.model_copy(update={"cells_a_block": 7})
    again = denoise(*prepared, choices, FEW.priors, small, COMPUTE)
    assert again == pytest.approx(rates, rel=1e-5)


def test_columns_that_were_not_read_are_nan(prepared, choices, rates):
    counts, genes, written = prepared
    some = Written(written.genes_K[:5], np.array([9, 0, 2, 3, 5]), 12, None)
    told = denoise(counts, genes, some, choices, FEW.priors, FEW.output, COMPUTE)
    assert told.shape == (90, 12) and np.isnan(told[:, [1, 4, 6, 7, 8, 10, 11]]).all()
    assert told[:, [9, 0]] == pytest.approx(rates[:, written.places_K[:2]])


def test_the_cells_stay_and_the_keys_are_added(read, prepared, rates, tmp_path):
    raw, _, report = read
    raw = raw.copy()
    raw.uns["own"], raw.layers["own"] = "kept", raw.X * 2
    cells = write_denoised(raw, rates, NOTHING, prepared[2], METRICS, report, FACTS)
    assert set(raw.layers) == {"own"} and "scm_denoised" not in raw.var
    assert (cells.X != raw.X).nnz == 0 and cells.uns["own"] == "kept"
    assert np.array_equal(cells.layers["scm_denoised"], rates)
    assert cells.var["scm_denoised"].all()
    facts = cells.uns["scm"]
    assert facts["prior"] == "svd" and facts["nats"] == 4.5 and facts["expression"] == "X"
    assert "checkpoint_sha256" not in facts
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert ad.read_h5ad(tmp_path / "cells.h5ad").uns["scm"]["rank"] == 3


def test_named_genes_are_a_table(read):
    raw, _, report = read
    written = Written(np.array([3, 1]), np.array([0, 1]), 2, ("CD3D", "LYZ"))
    two = np.ones((90, 2), dtype=np.float32)
    cells = write_denoised(raw, two, NOTHING, written, METRICS, report, FACTS)
    assert list(cells.obsm["scm_denoised"].columns) == ["CD3D", "LYZ"]
    assert not cells.layers and "scm_denoised" not in cells.var
    assert cells.shape == simulate_cells(90).shape
