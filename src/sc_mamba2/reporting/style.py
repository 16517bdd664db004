"""The style of all figures: size, fonts, distinguishable colours, names beside points."""

import io
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.framealpha": 0.8,  # no frame, but points under it are dimmed
    "legend.edgecolor": "none",
    "legend.fontsize": 8,
    "figure.facecolor": "white",
}

OTHER = "(other)"
MAX_WIDTH = 8.4  # inches of a figure: then a window of 700 pixels shows all of it, in letters that can be read
_LONGEST = 40
_SIZE, _LETTER_INCHES, _LINE_INCHES = 8, 0.08, 0.14  # of a name beside a point
_GREY = (0.78, 0.78, 0.78, 1.0)
_SHADES = ((1.0, 0.85), (0.5, 0.9), (0.9, 0.5))  # saturation and value


class ShownFigure(Figure):
    """A figure that a notebook shows at the end of a cell, with or without pyplot."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()


# A decorator of functions that draw: legends and colour bars come after the axes, and take the look of
# the moment.
in_style = mpl.rc_context(_STYLE)


def label(name: object, longest: int = _LONGEST) -> str:
    """Return a name as text for matplotlib, shortened and escaped.

    A pair of dollar signs would be a formula, and a name starting with ``_`` would not get a legend.
    """
    text = " ".join(str(name).split())
    if len(text) > longest:
        text = f"{text[: longest - 1]}…"
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


@in_style
def new_figure(
    columns: int = 1, width: float = 5.0, height: float = 4.0
) -> tuple[Figure, list[Axes]]:
    """Return a figure without a window and its axes, side by side, wrapped if too wide.

    Parameters
    ----------
    columns
        Number of axes.
    width, height
        Size of one of them, in inches.
    """
    across = min(columns, max(1, int(MAX_WIDTH / width)))
    down = -(-columns // across)
    figure = ShownFigure(figsize=(across * width, down * height), layout="constrained")
    axes = list(figure.subplots(down, across, squeeze=False).flat)
    for unused in axes[columns:]:
        unused.remove()
    return figure, axes[:columns]


def palette(names: list[str]) -> dict[str, tuple[float, float, float, float]]:
    """Return a colour for every name: ten strong, then ten pale ones; for more, hues in alternating shades.

    `OTHER`, the merged rest of many classes, is grey.
    """
    others = [name for name in names if name != OTHER]
    if len(others) <= 20:
        shades = mpl.colormaps["tab20"]
        colours = [shades(at)[:3] for at in (*range(0, 20, 2), *range(1, 20, 2))]
    else:
        hues = [(at / len(others), *_SHADES[at % len(_SHADES)]) for at in range(len(others))]
        colours = [tuple(map(float, rgb)) for rgb in colors.hsv_to_rgb(hues)]
    table = {name: (*colour, 1.0) for name, colour in zip(others, colours, strict=False)}
    return table | {name: _GREY for name in names if name == OTHER}


def name_points(
    axis: Axes, places_N2: np.ndarray, names: list[str], to_the_left_N: np.ndarray
) -> None:
    """Write names beside points, in order; a name that would overlap an earlier one is left out.

    Parameters
    ----------
    axis
        Axes with final limits.
    places_N2, names
        The points.
    to_the_left_N
        Which names are written to the left of their point.
    """
    figure = axis.get_figure(root=True)
    assert figure is not None
    size = axis.get_position().size * figure.get_size_inches()
    low, high = np.transpose([axis.get_xlim(), axis.get_ylim()])
    taken: list[np.ndarray] = []
    for place, name, left in zip(places_N2, map(label, names), to_the_left_N, strict=True):
        x, y = (place - low) / (high - low) * size
        width = len(name) * _LETTER_INCHES
        box = np.array([x - width if left else x, y, x if left else x + width, y + _LINE_INCHES])
        if any((box[:2] < other[2:]).all() and (other[:2] < box[2:]).all() for other in taken):
            continue
        taken.append(box)
        side: dict[str, Any] = {"ha": "right" if left else "left", "xytext": (-4 if left else 4, 3)}
        axis.annotate(name, place, textcoords="offset points", fontsize=_SIZE, **side)
