import numpy as np

from sc_mamba2.methods.retrieval import NeighbourVotes


def test_retrieval_counts_the_nearest_cells():
    generator = np.random.default_rng(3)
    cells, owner = generator.normal(size=(30, 8)), np.repeat(np.arange(3), 10)
    target = generator.normal(size=(4, 8))
    found = NeighbourVotes(cells, owner, 3, components=8, exact=100, seed=0).shares(target, 5)
    centred = cells - cells.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:8]
    votes = np.zeros(3)
    for cell in target:
        away = np.linalg.norm((centred - (cell - cells.mean(axis=0))) @ axes.T, axis=1)
        for near in np.argsort(away)[:5]:
            votes[owner[near]] += 1
    np.testing.assert_allclose(found, votes / 20)
