"""Colours that can be told apart, and figures that need no window and leave no setting behind."""

import matplotlib as mpl
import numpy as np
import pytest

from sc_mamba2.reporting import new_figure, palette


@pytest.mark.parametrize("count", [1, 3, 10, 15, 20, 21, 40, 100])
def test_colours_differ(count):
    colours = palette([f"type {number}" for number in range(count)])
    assert list(colours) == [f"type {number}" for number in range(count)]
    values = np.array(list(colours.values()))
    assert values.shape == (count, 4) and (values[:, 3] == 1).all()
    assert ((values >= 0) & (values <= 1)).all()
    assert len(np.unique(values, axis=0)) == count


def test_few_names_get_strong_colours():
    values = np.array(list(palette(list("abcdefghij")).values()))[:, :3]
    assert (
        np.linalg.norm(values[:, None] - values[None], axis=-1)[~np.eye(10, dtype=bool)].min() > 0.2
    )


def test_no_names():
    assert palette([]) == {}


@pytest.mark.parametrize(("columns", "size"), [(2, [8.4, 3.0]), (3, [8.4, 6.0]), (5, [8.4, 9.0])])
def test_axes_that_are_too_wide_for_a_window_go_below(columns, size):
    figure, axes = new_figure(columns, width=4.2, height=3)
    assert len(axes) == columns == len(figure.axes)
    assert figure.get_size_inches().tolist() == pytest.approx(size)


@pytest.mark.parametrize("columns", [1, 3])
def test_a_row_of_axes(columns):
    before = dict(mpl.rcParams)
    figure, axes = new_figure(columns, width=2, height=3)
    assert len(axes) == columns == len(figure.axes)
    assert figure.get_size_inches().tolist() == [2 * columns, 3]
    assert dict(mpl.rcParams) == before
    assert not axes[0].spines["top"].get_visible()
