import numpy as np
import pytest

from sc_mamba2.methods.modality_weights import modality_weights, weighted_embedding


@pytest.fixture
def modalities() -> tuple[np.ndarray, np.ndarray]:
    """Return four types that the first modality tells apart, and a second that is noise."""
    generator = np.random.default_rng(0)
    types = np.eye(4)[np.arange(200) % 4]
    clear = 5 * types @ generator.normal(size=(4, 8)) + generator.normal(size=(200, 8))
    return clear, generator.normal(size=(200, 8))


def test_the_modality_that_tells_cells_apart_weighs_more(modalities):
    clear, noise = modalities
    weights = modality_weights([clear, noise], np.ones(200, bool))
    assert weights.sum(axis=1) == pytest.approx(1) and (weights >= 0).all()
    assert weights[:, 0].mean() > weights[:, 1].mean() + 0.1
    turned = modality_weights([noise, clear], np.ones(200, bool))
    assert turned == pytest.approx(weights[:, ::-1])


def test_equal_modalities_weigh_alike_and_scale_does_not_count(modalities):
    clear, _ = modalities
    weights = modality_weights([clear, 9 * clear], np.ones(200, bool))
    assert weights == pytest.approx(0.5)


def test_neighbours_are_fitted_cells_alone(modalities):
    clear, noise = modalities
    fitted = np.arange(200) < 150
    before = modality_weights([clear, noise], fitted)
    changed = clear.copy()
    changed[180] = 100
    after = modality_weights([changed, noise], fitted)
    assert np.delete(after, 180, axis=0) == pytest.approx(np.delete(before, 180, axis=0))


def test_distances_are_weighed_by_the_cell(modalities):
    clear, noise = modalities
    joined = weighted_embedding([clear, noise], np.tile([0.25, 0.75], (200, 1)))
    assert (joined**2).sum(axis=1) == pytest.approx(1) and joined.shape == (200, 16)
    assert (joined[:, :8] ** 2).sum(axis=1) == pytest.approx(0.25)
