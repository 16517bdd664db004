"""Correlations against scipy's."""

import numpy as np
import pytest
from scipy import stats

from sc_mamba2.methods.correlation import pearson, spearman


def test_correlations_are_those_of_scipy():
    generator = np.random.default_rng(1)
    x, y = generator.poisson(1, (30, 3)).astype(float), generator.normal(size=(30, 2))
    x[:, 2] = 1
    for own, theirs in ((pearson, stats.pearsonr), (spearman, stats.spearmanr)):
        found = own(x, y)
        assert found[0, 1] == pytest.approx(theirs(x[:, 0], y[:, 1])[0])
        assert not found[2].any()
