import numpy as np
import pytest

from sc_mamba2.methods.class_shift import class_shift


def sums_of(points, classes, count):
    members = [points[classes == known] for known in range(count)]
    return np.stack([part.sum(axis=0) for part in members]), np.array(list(map(len, members)))


@pytest.mark.parametrize("sizes", [(50, 50, 50), (90, 5, 30), (0, 0, 40)])
def test_it_is_the_mean_residual_whatever_the_composition(sizes):
    random = np.random.default_rng(0)
    means = random.normal(size=(3, 4))
    classes = np.repeat([0, 1, 2], sizes)
    points = means[classes] + np.arange(4.0) + 0.1 * random.normal(size=(len(classes), 4))
    found = class_shift(*sums_of(points, classes, 3), means)
    slow = np.mean([point - means[known] for point, known in zip(points, classes)], axis=0)
    np.testing.assert_allclose(found, slow, atol=1e-12)
    np.testing.assert_allclose(found, np.arange(4.0), atol=0.06)


def test_rare_classes_do_not_count_and_without_others_nothing_is_shifted():
    means = np.zeros((3, 2))
    points = np.concatenate([np.full((997, 2), 1.0), np.full((3, 2), 100.0)])
    classes = np.repeat([0, 1], [997, 3])
    np.testing.assert_allclose(class_shift(*sums_of(points, classes, 3), means), 1.0)
    few = class_shift(*sums_of(points[-4:], np.array([0, 1, 1, 2]), 3), means)
    np.testing.assert_array_equal(few, 0.0)
