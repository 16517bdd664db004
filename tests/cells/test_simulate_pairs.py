import numpy as np
import pytest

from sc_mamba2.cells.simulate_pairs import SIMULATED_PAIRS, simulate_rna_atac


@pytest.mark.parametrize("name", SIMULATED_PAIRS)
def test_a_pair_is_of_the_same_cells_and_repeats(name):
    one, two = SIMULATED_PAIRS[name](), SIMULATED_PAIRS[name]()
    first, second = one.values()
    assert first.obs_names.equals(second.obs_names)
    for kind in one:
        assert (one[kind].X != two[kind].X).nnz == 0 and one[kind].var_names.is_unique
    assert set(first.obs["cell_type"]) == {"alpha", "beta", "gamma"}


def test_cells_have_about_as_many_features_as_asked_for():
    pair = simulate_rna_atac(60, 2000, 5000, 200, 500, seed=1)
    assert np.diff(pair["rna"].X.indptr).mean() == pytest.approx(200, rel=0.15)
    assert np.diff(pair["atac"].X.indptr).mean() == pytest.approx(500, rel=0.15)


def test_types_differ_in_both_modalities():
    pair = simulate_rna_atac(300, 100, 100, 60, 60)
    types = pair["rna"].obs["cell_type"].to_numpy()
    for cells in pair.values():
        shares = cells.X.multiply(1 / cells.X.sum(axis=1)).toarray()
        means = np.stack([shares[types == kind].mean(axis=0) for kind in ("alpha", "beta")])
        assert (np.abs(np.log2(means[0] / means[1])) > 1.5).sum() > 5
