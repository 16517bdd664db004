import numpy as np
import pytest

from sc_mamba2.methods.own_gene import fit_fold, fold_effect


def test_a_fold_change_is_one_of_the_expression():
    level = np.array([0.0, 0.01, 3.0, 8.0])
    after = np.expm1(level + fold_effect(0.5, level))
    np.testing.assert_allclose(after, 0.5 * np.expm1(level))
    assert fold_effect(0.5, level)[-1] == pytest.approx(np.log(0.5), abs=1e-3)


def test_the_fold_is_found_again_whatever_one_of_them_does():
    level = np.array([1.0, 2.0, 3.0, 4.0])
    change = fold_effect(np.exp(-1.2), level)
    change[0] = -1.0  # one target has lost all of its messenger
    assert fit_fold(level, change) == pytest.approx(np.exp(-1.2))
    assert fit_fold(np.zeros(0), np.zeros(0)) == 1
