import numpy as np
import pytest
import scanpy as sc
from scipy import sparse

from sc_mamba2.methods.projection import fit_projection


def values(cells: int = 400, genes: int = 30) -> sparse.csr_matrix:
    counts = np.random.default_rng(0).poisson(0.4, size=(cells, genes)).astype(np.float32)
    counts[0, 1:4] = 5000  # cut off, once scaled
    counts[:, 5] = 0
    return sparse.csr_matrix(np.log1p(counts))


@pytest.mark.parametrize("scaled", [False, True])
def test_it_is_scanpys_recipe_of_scaling_and_components(scaled):
    given, chosen = values(), np.arange(0, 30, 1)[np.arange(30) % 4 > 0]
    plain = sc.AnnData(given[:, chosen].toarray())
    if scaled:
        sc.pp.scale(plain, max_value=10)
        assert plain.X.max() == 10
    expected = sc.pp.pca(plain.X, n_comps=4, random_state=0)
    found = fit_projection(given, chosen, 4, scaled)(given)
    assert found.dtype == np.float32 and found.shape == (400, 4)
    alike = np.abs((found * expected).sum(0)) / (expected**2).sum(0)
    assert alike == pytest.approx(1, abs=1e-3)


def test_later_cells_take_the_same_map_and_other_genes_do_not_count():
    given = values()
    chosen = np.arange(10, 25)
    projection = fit_projection(given, chosen, 5, True)
    assert np.allclose(projection(given[[7]]), projection(given)[[7]], atol=1e-5)
    other = given.tolil()
    other[:, 26] = 3.0
    assert np.allclose(projection(sparse.csr_matrix(other)), projection(given), atol=1e-5)


def test_few_cells_have_fewer_components():
    assert fit_projection(values(4), np.arange(30), 10, True)(values(4)).shape == (4, 3)
