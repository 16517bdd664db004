import numpy as np
import pytest

from sc_mamba2.cells import simulate_cells, standardise
from sc_mamba2.errors import UserError
from sc_mamba2.genes import load_gene_table, load_vocabulary
from sc_mamba2.tasks.shared.tokenization import choose_genes


@pytest.fixture(scope="module")
def cells():
    return standardise(simulate_cells(80, 150), load_gene_table())[0]


def test_the_querys_values_are_never_read(cells):
    query = cells[:, 20:].copy()
    chosen = choose_genes(cells, query, load_vocabulary(), 50)
    query.X.data = np.random.default_rng(1).permutation(query.X.data)
    assert choose_genes(cells, query, load_vocabulary(), 50) == chosen
    assert len(chosen) == 50 and set(chosen) <= set(query.var_names)


def test_all_expressed_genes_are_kept_without_a_limit(cells):
    expressed = cells.var_names[np.asarray(cells.X.sum(axis=0)).ravel() > 0]
    assert choose_genes(cells, cells, load_vocabulary(), None) == list(expressed)


def test_files_that_share_no_gene_are_refused(cells):
    with pytest.raises(UserError, match="genes-not-shared"):
        choose_genes(cells[:, :50].copy(), cells[:, 50:].copy(), load_vocabulary(), 50)


def test_a_checkpoint_knows_genes_that_no_labelled_cell_expresses(cells):
    few = cells[:2].copy()
    all_known = choose_genes(few, cells, load_vocabulary(), None, pretrained=True)
    expressed = choose_genes(few, cells, load_vocabulary(), None)
    assert set(expressed) < set(all_known) == set(cells.var_names)
