"""Figures as a declared list: what each is called, what stands under it, what it is drawn from."""

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
        Of its file.
    caption
        What a reader sees under it.
    draw
        Draws it. Its arguments name what it needs; it returns ``None`` where there is nothing to show.
    """

    name: str
    caption: str
    draw: Callable[..., Figure | None]


def draw_pictures(pictures: Sequence[Picture], **values: Any) -> dict[str, bytes]:
    """Draw every picture whose arguments are all there, in the order of the list.

    Parameters
    ----------
    pictures
        The list.
    values
        What there is to draw, by name; ``None`` stands for what there is not.

    Returns
    -------
    dict
        PNG files by name. Equal figures are equal bytes.
    """
    there = {name: value for name, value in values.items() if value is not None}
    drawn = {}
    for picture in pictures:
        needed = inspect.signature(picture.draw).parameters
        if needed.keys() <= there.keys():
            figure = picture.draw(**{name: there[name] for name in needed})
            if figure is not None:
                drawn[picture.name] = as_png(figure)
    return drawn


def as_png(figure: Figure) -> bytes:
    """Return a figure as a PNG file; no software tag, so that equal figures are equal files."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()
