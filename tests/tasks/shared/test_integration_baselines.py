import numpy as np
import pytest

from sc_mamba2.cells import simulate_cells
from sc_mamba2.cells.standard_form import standardise
from sc_mamba2.genes import load_gene_table
from sc_mamba2.methods.integration import integration_baselines
from sc_mamba2.tasks.shared.integration_baselines import baseline_embeddings


@pytest.fixture(scope="module")
def cells():
    return standardise(simulate_cells(60), load_gene_table())[0]


def test_cells_in_the_standard_form_stay_as_they_are(cells):
    before, codes = cells.copy(), np.arange(60) % 2
    found = baseline_embeddings(cells, np.array(["one", "two"])[codes], genes=50, components=5)
    expected = integration_baselines(cells.X, cells.layers["counts"], codes, genes=50, components=5)
    assert list(found) == list(expected)
    assert all(np.array_equal(found[name], expected[name]) for name in ("pca", "harmony"))
    assert (cells.X != before.X).nnz == 0 and list(cells.obs) == list(before.obs)
    assert cells.uns.keys() == before.uns.keys() and cells.obsm.keys() == before.obsm.keys()
