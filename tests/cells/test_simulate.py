"""Simulated cells are the same at every call, are counts, and their types can be told apart."""

import numpy as np

from sc_mamba2.cells import simulate_cells, simulate_perturbed


def test_equal_seeds_give_equal_cells():
    first, second, other = simulate_cells(), simulate_cells(), simulate_cells(seed=1)
    assert np.array_equal(first.X.toarray(), second.X.toarray())
    assert first.obs.equals(second.obs) and first.var.equals(second.var)
    assert not np.array_equal(first.X.toarray(), other.X.toarray())


def test_counts_types_and_batches():
    cells = simulate_cells(60, 40)
    values = cells.X.toarray()
    assert cells.shape == (60, 40) and values.dtype == np.float32
    assert (values >= 0).all() and (values == np.rint(values)).all() and values.any()
    assert set(cells.obs["cell_type"]) == {"alpha", "beta", "gamma"}
    assert set(cells.obs["batch"]) == {"first", "second"}
    assert cells.var_names.str.match(r"^ENSG\d{11}$").all() and cells.var_names.is_unique


def test_types_differ_by_their_genes():
    cells = simulate_cells(300, 200)
    means = [
        np.asarray(cells.X[(cells.obs["cell_type"] == name).to_numpy()].mean(axis=0)).ravel()
        for name in ("alpha", "beta", "gamma")
    ]
    for left, right in ((0, 1), (0, 2), (1, 2)):
        assert (means[left] > 3 * means[right] + 0.5).sum() >= 3


def test_perturbed_cells_do_what_the_truth_says():
    cells = simulate_perturbed(cells=400, genes=60, targets=2, pairs=1)
    factors = cells.uns["log_factors"]
    names = cells.obs["perturbation"].astype(str).to_numpy()
    one, other = factors.index
    pair = "+".join(sorted([one, other]))
    assert set(names) == {"control", one, other, pair}
    assert factors.loc[one, cells.var_names[cells.var["symbol"] == one]].item() == np.log(0.2)

    def log_mean(name: str) -> np.ndarray:
        return np.log(np.asarray(cells.X[names == name].mean(axis=0)).ravel() + 1e-3)

    change = log_mean(pair) - log_mean("control")
    expected = factors.loc[[one, other]].sum().to_numpy()
    assert np.corrcoef(change, expected)[0, 1] > 0.9
