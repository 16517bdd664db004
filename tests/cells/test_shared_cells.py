"""Shared cells have one name and one profile; a name alone says nothing."""

import numpy as np
from anndata import AnnData

from sc_mamba2.cells import simulate_cells, standardise
from sc_mamba2.cells.keys import is_result
from sc_mamba2.cells.shared_cells import shared_cells
from sc_mamba2.genes import load_gene_table


def standard(cells: AnnData) -> AnnData:
    return standardise(cells, load_gene_table())[0]


def test_cells_of_one_name_and_one_profile():
    cells = simulate_cells(60, 200)
    half = cells[:30].copy()
    assert list(shared_cells(standard(cells), standard(half))) == list(half.obs_names)
    assert list(shared_cells(standard(cells), standard(half[:, ::-2].copy()))) == list(
        half.obs_names
    )


def test_a_name_alone_is_not_enough_nor_a_profile():
    cells = simulate_cells(60, 200)
    renamed = cells.copy()
    renamed.obs_names = np.roll(cells.obs_names, 1)
    assert not len(shared_cells(standard(cells), standard(renamed)))
    assert not len(shared_cells(standard(cells[:30].copy()), standard(cells[30:].copy())))


def test_normalised_values_are_compared_up_to_rounding():
    cells = simulate_cells(60, 200)
    logs = standard(cells)
    logs = AnnData(X=logs.X.astype("float64"), obs=logs.obs, var=logs.var)
    assert len(shared_cells(standard(cells), standard(logs))) == 60


def test_names_of_results():
    ours = ("scm", "scm_cell_type", "X_scm", "X_scm_joint")
    assert all(map(is_result, ours)) and not any(
        map(is_result, ("scmap_type", "X_scmap", "my_scm"))
    )
