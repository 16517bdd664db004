import sys
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from sc_mamba2.methods.retrieval import NeighbourVotes


@pytest.mark.parametrize("exact", [100, 10])
def test_retrieval_counts_the_nearest_cells(exact, monkeypatch):
    index = lambda cells, **_: SimpleNamespace(  # noqa: E731
        query=lambda cell, k: NearestNeighbors().fit(cells).kneighbors(cell, k)[::-1]
    )
    monkeypatch.setitem(sys.modules, "pynndescent", SimpleNamespace(NNDescent=index))
    generator = np.random.default_rng(3)
    cells, owner = generator.normal(size=(30, 8)), np.repeat(np.arange(3), 10)
    target = generator.normal(size=(4, 8))
    found = NeighbourVotes(cells, owner, 3, 5, components=8, exact=exact, seed=0).shares(target)
    centred = cells - cells.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:8]
    votes = np.zeros(3)
    for cell in target:
        away = np.linalg.norm((centred - (cell - cells.mean(axis=0))) @ axes.T, axis=1)
        for near in np.argsort(away)[:5]:
            votes[owner[near]] += 1
    np.testing.assert_allclose(found, votes / 20)
