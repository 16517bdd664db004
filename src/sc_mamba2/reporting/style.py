"""The look of every figure: size, fonts, colours that can be told apart."""

import io
from typing import Any

import matplotlib as mpl
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
_LONGEST = 40
_GREY = (0.78, 0.78, 0.78, 1.0)
_SHADES = ((1.0, 0.85), (0.5, 0.9), (0.9, 0.5))  # saturation and value


class ShownFigure(Figure):
    """A figure that a notebook shows at the end of a cell, whether or not pyplot is there."""

    def _repr_png_(self) -> bytes:
        picture = io.BytesIO()
        self.savefig(picture, format="png")
        return picture.getvalue()


# A decorator of functions that draw: legends and colour bars come after the axes, and take the look of
# the moment.
in_style = mpl.rc_context(_STYLE)


def label(name: object, longest: int = _LONGEST) -> str:
    """Return a name as it may be drawn: shortened, and no letter of it a command to matplotlib.

    A pair of dollar signs would be a formula, and a name with ``_`` in front would have no legend.
    """
    text = " ".join(str(name).split())
    if len(text) > longest:
        text = f"{text[: longest - 1]}…"
    return (" " if text.startswith("_") else "") + text.replace("$", r"\$")


@in_style
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
    figure = ShownFigure(figsize=(columns * width, height), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


def palette(names: list[str]) -> dict[str, tuple[float, float, float, float]]:
    """Give every name a colour: ten strong ones, then ten pale ones; of more, hues light and dark in turn.

    The rest of many classes, `OTHER`, is grey.
    """
    others = [name for name in names if name != OTHER]
    if len(others) <= 20:
        shades = mpl.colormaps["tab20"]
        colours = [shades(at)[:3] for at in (*range(0, 20, 2), *range(1, 20, 2))]
    else:
        hues = [(at / len(others), *_SHADES[at % len(_SHADES)]) for at in range(len(others))]
        colours = [tuple(map(float, rgb)) for rgb in colors.hsv_to_rgb(hues)]
    return {name: (*colour, 1.0) for name, colour in zip(others, colours, strict=False)} | {
        name: _GREY for name in names if name == OTHER
    }
