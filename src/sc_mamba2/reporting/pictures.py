"""Declared lists of figures: name, caption, and the function that draws each."""

import inspect
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure

DOTS_PER_INCH = 130


@dataclass(frozen=True)
class Picture:
    """One figure of a report.

    Attributes
    ----------
    name
        Name of its file.
    caption
        Caption in the report.
    draw
        Function that draws it; its argument names select the data, ``None`` means nothing to show.
    """

    name: str
    caption: str
    draw: Callable[..., Figure | None]


def draw_pictures(pictures: Sequence[Picture], **values: Any) -> dict[str, bytes]:
    """Draw every picture whose arguments are all available, in order.

    Parameters
    ----------
    pictures
        The list.
    values
        Data by argument name; ``None`` if missing.

    Returns
    -------
    dict
        PNG files by name. Equal figures are equal bytes.
    """
    available = {name: value for name, value in values.items() if value is not None}
    drawn = {}
    for picture in pictures:
        needed = inspect.signature(picture.draw).parameters
        if needed.keys() <= available.keys():
            figure = picture.draw(**{name: available[name] for name in needed})
            if figure is not None:
                drawn[picture.name] = as_png(figure)
    return drawn


def as_png(figure: Figure) -> bytes:
    """Return a figure as PNG, without a software tag, so that equal figures are equal bytes."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()
