"""Names beside points, as many as can be read."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from sc_mamba2.reporting.style import label

_SIZE = 8
_LETTER_INCHES, _LINE_INCHES = 0.08, 0.14  # of a name of that size


def name_points(
    axis: Axes, places_N2: np.ndarray, names: list[str], to_the_left_N: np.ndarray
) -> None:
    """Write names beside points, those that come first first; one that would lie on another is left out.

    Parameters
    ----------
    axis
        With all that it will show, so that its limits stand.
    places_N2, names
        The points.
    to_the_left_N
        Which names end at their point instead of beginning there.
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
