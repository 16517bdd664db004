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
    def no_umap(cells, **_):
        cells.obsm["X_umap"] = cells.X[:, :2]

    monkeypatch.setattr(sc.tl, "umap", no_umap)
    many = np.random.default_rng(0).normal(size=(8200, 3))
    assert len(lay_out(pd.DataFrame(many), seed=0)) == 8200


def test_a_wide_embedding_is_laid_out_as_it_is():
    """The start of a UMAP must not take components of what is an embedding already."""
    wide = np.random.default_rng(0).normal(size=(30, 60)) + 9 * (np.arange(30) % 2)[:, None]
    places = lay_out(pd.DataFrame(wide), seed=0).to_numpy()
    centres = [places[np.arange(30) % 2 == half] for half in (0, 1)]
    apart = np.linalg.norm(centres[0].mean(0) - centres[1].mean(0))
    assert np.isfinite(places).all() and apart > max(part.std(0).max() for part in centres)
