"""Names of a person's file in figures: drawn as they are written, as many as can be read."""

import io

import numpy as np
import pandas as pd
import pytest

from sc_mamba2.reporting import (
    class_legend,
    class_legends,
    fewer_classes,
    label,
    name_points,
    new_figure,
    palette,
)


@pytest.mark.parametrize("name", ["$x_{$", r"$\frac$", "_hidden", "two\nlines", "a" * 200, ""])
def test_every_name_can_be_drawn_and_stands_in_the_legend(name):
    figure, (axis,) = new_figure()
    axis.set_title(label(name))
    class_legend(figure, {name: "red", "other": "blue"})
    figure.savefig(io.BytesIO(), format="png")
    written = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(written) == 2 and max(map(len, written)) <= 44


def test_a_name_is_shortened_to_the_room():
    assert label("a" * 41) == "a" * 39 + "…" and label("a" * 40) == "a" * 40
    assert label("abcdef", 4) == "abc…"


def test_the_rarest_classes_are_one_the_same_in_all_columns():
    calls = pd.Series(["a"] * 5 + ["b"] * 4 + ["c"] + ["d"])
    truth = pd.Series(["a", "d"])
    shown, true = fewer_classes(calls, truth, most=2)
    assert list(shown.unique()) == ["a", "b", "(other)"] and list(true) == ["a", "(other)"]
    assert fewer_classes(calls, truth, most=4)[0].tolist() == calls.tolist()


def test_the_rest_of_the_classes_is_grey():
    red, green, blue, _ = palette([*"abc", "(other)"])["(other)"]
    assert red == green == blue


def test_a_legend_takes_room_below_the_axes_and_not_from_them():
    heights = []
    for count in (1, 40):
        figure, (axis,) = new_figure(width=5, height=4)
        class_legend(
            figure, dict.fromkeys((f"a name of some length {at}" for at in range(count)), "red")
        )
        figure.draw_without_rendering()
        heights.append(axis.get_window_extent().height)
        assert figure.legends[0].get_window_extent().x0 >= 0
    assert heights[1] > 0.8 * heights[0]


def test_every_panel_has_its_own_legend_below_it():
    figure, axes = new_figure(columns=3, width=4.2, height=3.8)
    heights = figure.get_figheight()
    colours = [{f"{kind} {at}": "red" for at in range(9)} for kind in ("type", "batch")]
    class_legends(figure, axes[:2], colours)
    assert figure.get_figheight() > heights
    figure.draw_without_rendering()
    for axis, own in zip(axes, colours, strict=False):
        legend = axis.get_legend()
        assert [text.get_text() for text in legend.get_texts()] == list(own)
        assert legend.get_window_extent().y1 < axis.get_window_extent().y0
        assert 0 <= legend.get_window_extent().x0 < legend.get_window_extent().x1 <= figure.bbox.x1


def test_names_that_would_lie_on_each_other_are_left_out_the_first_stays():
    figure, (axis,) = new_figure(width=5, height=4)
    places = np.array([[0.5, 0.5], [0.51, 0.5], [0.1, 0.1], [0.52, 0.5]])
    axis.set(xlim=(0, 1), ylim=(0, 1))
    name_points(
        axis, places, ["first", "second", "far", "left"], np.array([0, 0, 0, 1], dtype=bool)
    )
    figure.draw_without_rendering()
    drawn = [text.get_text() for text in axis.texts]
    assert drawn == ["first", "far"]
