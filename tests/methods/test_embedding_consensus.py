import numpy as np
import pytest

from sc_mamba2.methods.embedding_consensus import (
    consensus_embedding,
    unit_scale,
)


def squares(embedding: np.ndarray) -> np.ndarray:
    return ((embedding[:, None] - embedding[None]) ** 2).sum(-1)


def test_squared_distances_are_the_weighted_mean_of_theirs():
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(40, 3)), 50 * generator.normal(size=(40, 2)) + 9
    joined = consensus_embedding([first, second], np.array([0.25, 0.75]), 10)
    expected = sum(
        weight * squares(own * unit_scale(own)) for own, weight in ((first, 0.25), (second, 0.75))
    )
    assert joined.shape == (40, 4)  # one fewer than its columns
    kept = consensus_embedding([first, second, np.zeros((40, 1))], np.array([0.25, 0.75, 0]), 5)
    assert squares(kept) == pytest.approx(expected, rel=1e-3, abs=1e-3)
