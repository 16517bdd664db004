"""The layout of cells in two dimensions."""

import numpy as np
import pandas as pd
import pytest
import scanpy as sc

from sc_mamba2.reporting import lay_out


@pytest.mark.parametrize(("cells", "width"), [(1, 5), (3, 5), (9, 1)])
def test_too_little_to_lay_out_is_shown_as_it_is(cells, width):
    places = lay_out(pd.DataFrame(np.ones((cells, width))), seed=0)
    assert places.shape == (cells, 2) and (places["x"] == 1).all()


def test_many_cells_take_the_same_way_as_few(monkeypatch):
    def no_umap(cells, random_state):
        cells.obsm["X_umap"] = cells.X[:, :2]

    monkeypatch.setattr(sc.tl, "umap", no_umap)
    many = np.random.default_rng(0).normal(size=(8200, 3))
    assert len(lay_out(pd.DataFrame(many), seed=0)) == 8200
