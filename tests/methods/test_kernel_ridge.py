import numpy as np
from scipy import sparse
from sklearn.linear_model import Ridge

from sc_mamba2.methods.kernel_ridge import fit_kernel_ridge


def data(seed=0, cells=60):
    generator = np.random.default_rng(seed)
    values = sparse.csr_matrix(
        generator.random((cells, 20)) * (generator.random((cells, 20)) < 0.5)
    )
    numbers = generator.normal(size=(cells, 4))
    weights = generator.normal(size=(20, 3))
    target = values @ weights + np.sin(2 * numbers[:, :1]) + 0.1 * generator.normal(size=(cells, 3))
    return values, numbers, np.asarray(target)


def test_without_the_kernel_it_is_ridge_regression():
    values, numbers, target = data()
    fit = fit_kernel_ridge(values, [numbers], target, (0.0,), (0.2,), (0.5,), 3, 0)
    dense = values.toarray()
    centred = dense - dense.mean(axis=0)
    size = (centred**2).sum() / len(dense)
    expected = Ridge(alpha=0.5 * size).fit(dense, target)
    np.testing.assert_allclose(fit.readout_SP, expected.coef_.T, atol=1e-8)
    np.testing.assert_allclose(fit.bias_P, expected.intercept_, atol=1e-8)
    assert not fit.weight_NP.any() and fit.share == 0


def test_the_kernel_is_taken_where_it_predicts_better():
    values, numbers, target = data(cells=200)
    grids = ((0.2, 0.4, 0.8), (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0), 5, 0)
    curved = fit_kernel_ridge(values, [numbers], target, (0.0, 0.5, 1.0), *grids)
    ridge = fit_kernel_ridge(values, [numbers], target, (0.0,), *grids)
    assert curved.share > 0 and curved.error < ridge.error
    predicted = curved.bias_P + values @ curved.readout_SP
    predicted += (
        np.exp(-curved.curvature * plain_squares(numbers * curved.scale_F)) @ curved.weight_NP
    )
    assert np.corrcoef(predicted[:, 0], target[:, 0])[0, 1] > 0.97


def plain_squares(numbers):
    return ((numbers[:, None] - numbers[None]) ** 2).sum(axis=2)


def test_strengths_are_chosen_for_each_feature():
    values, numbers, target = data(cells=150)
    noise = np.random.default_rng(1).normal(size=(150, 1))
    both = np.hstack([target[:, :1], noise])
    fit = fit_kernel_ridge(values, [numbers], both, (0.0,), (0.2,), (0.01, 100.0), 5, 0)
    assert np.abs(fit.readout_SP[:, 1]).max() < 0.05 < np.abs(fit.readout_SP[:, 0]).max()


def test_without_values_there_is_the_kernel_alone():
    values, numbers, target = data()
    nothing = values[:, :0]
    fit = fit_kernel_ridge(nothing, [numbers], target, (0.0, 0.5), (0.4,), (0.1,), 3, 0)
    assert fit.share == 1 and fit.readout_SP.shape == (0, 3)
    np.testing.assert_allclose(fit.bias_P, target.mean(axis=0))
