"""The look of every figure: size, fonts, colours that can be told apart."""

import io

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
}


class ShownFigure(Figure):
    """A figure that a notebook shows at the end of a cell, whether or not pyplot is there."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()


def new_figure(
    columns: int = 1, width: float = 5.0, height: float = 4.0
) -> tuple[Figure, list[Axes]]:
    """Return a figure without a window and its row of axes.

    Parameters
    ----------
    columns
        Axes side by side.
    width, height
        Inches of one of them.
    """
    with mpl.rc_context(_STYLE):
        figure = ShownFigure(figsize=(columns * width, height), layout="constrained")
        axes = figure.subplots(1, columns, squeeze=False)[0]
    return figure, list(axes)


def palette(names: list[str]) -> dict[str, tuple[float, float, float, float]]:
    """Give every name a colour: ten strong ones, then ten pale ones, then around the wheel."""
    if len(names) <= 20:
        table = mpl.colormaps["tab20"].colors
        order = [*table[0::2], *table[1::2]]
        return {name: (*order[at], 1.0) for at, name in enumerate(names)}
    wheel = mpl.colormaps["hsv"]
    return {name: wheel(at / len(names)) for at, name in enumerate(names)}
