import numpy as np
import pytest

from sc_mamba2.methods.shrinkage import shrinkage


def test_shrinkage_is_the_best_factor_on_each_component():
    generator = np.random.default_rng(0)
    cells, features = 400, 300
    left = np.linalg.qr(generator.normal(size=(cells, 3)))[0]
    right = np.linalg.qr(generator.normal(size=(features, 3)))[0]
    truth = np.array([120.0, 60.0, 2.0])
    noisy = left * truth @ right.T + generator.normal(size=(cells, features))
    found_left, sizes, found_right = np.linalg.svd(noisy)
    rest = (noisy**2).sum() - (sizes[:5] ** 2).sum()
    factors = shrinkage(sizes[:5], noisy.shape, rest)
    # Of all sizes of a component, this one is nearest to the matrix without noise.
    clean = left * truth @ right.T
    best = [found_left[:, at] @ clean @ found_right[at] for at in range(2)]
    assert factors[:2] * sizes[:2] == pytest.approx(best, rel=0.03)
    assert (factors[2:] < 0.15).all() and (np.diff(factors) <= 0).all()
    assert shrinkage(np.array([3.0, 1.0]), (9, 4), 0.0).tolist() == [1, 1]
