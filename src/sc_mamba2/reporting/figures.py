"""Figures shared by tasks: layouts coloured by class, matrices of shares, training losses."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from sc_mamba2.reporting.layout import class_legend, scatter_classes
from sc_mamba2.reporting.style import MAX_WIDTH, OTHER, in_style, new_figure, palette

MAX_CLASSES = 40  # more colours cannot be told apart, and rows of a matrix not be read
MAX_SIDE_BY_SIDE = 20
MAX_CLASSES_WITH_NUMBERS = 15
_LOSSES = ("training_loss", "validation_loss")


def fewer_classes(*columns: pd.Series, most: int = MAX_CLASSES) -> list[pd.Series]:
    """Return classes with the rarest merged if there are too many, the same ones in all columns."""
    counts = pd.concat([column.astype(object) for column in columns]).value_counts()
    kept = counts.index if len(counts) <= most + 1 else counts.index[:most]
    return [column.astype(object).where(column.isin(kept), OTHER) for column in columns]


def shares_size(classes: int) -> tuple[float, float]:
    """Return the width and height, inches, of a square matrix of shares with its labels and scale."""
    side = 2.8 + min(0.34 * classes, MAX_WIDTH - 3.6)
    return side + 0.8, side


def draw_shares(axis: Axes, shares: np.ndarray, rows: list[str], columns: list[str]) -> AxesImage:
    """Plot a matrix of shares, 0 to 1, with labels, and with numbers if it is small."""
    image = axis.imshow(shares, vmin=0, vmax=1, cmap="Blues")
    axis.set_xticks(range(len(columns)), columns, rotation=90)
    axis.set_yticks(range(len(rows)), rows)
    axis.tick_params(labelsize=9 if len(rows) <= MAX_CLASSES_WITH_NUMBERS else 6.5)
    if max(shares.shape) <= MAX_CLASSES_WITH_NUMBERS:
        for row, column in np.argwhere(shares >= 0.005):
            share = shares[row, column]
            colour = "white" if share > 0.55 else "black"
            place: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7}
            axis.text(column, row, f"{share:.2f}", color=colour, **place)
    return image


@in_style
def class_figure(places: dict[str, pd.DataFrame], classes: pd.Series) -> Figure:
    """Plot layouts side by side, coloured by class; the rarest of many classes are merged.

    Parameters
    ----------
    places
        Layouts of `lay_out` by title.
    classes
        Classes of the cells that have one.
    """
    (shown,) = fewer_classes(classes, most=MAX_SIDE_BY_SIDE)
    colours = palette(sorted(set(shown)))
    figure, axes = new_figure(columns=len(places), width=4.2, height=3.8)
    for axis, (title, layout) in zip(axes, places.items(), strict=True):
        scatter_classes(axis, layout.loc[shown.index], shown, colours, title)
    class_legend(figure, colours)
    return figure


@in_style
def losses_together(history: pd.DataFrame, labels: tuple[str, str], unit: str) -> Figure:
    """Plot training and validation loss per epoch, in the same unit and axes."""
    figure, (axis,) = new_figure(width=6, height=3.6)
    for column, label, mark in zip(
        _LOSSES, labels, "os", strict=True
    ):  # open: equal losses are both seen
        axis.plot(history["epoch"], history[column], marker=mark, ms=5, mfc="none", label=label)
    axis.set_ylabel(unit)
    _finish(axis, history)
    return figure


@in_style
def losses_apart(history: pd.DataFrame, titles: tuple[str, str]) -> Figure:
    """Plot training and validation loss in separate axes, since they measure different things."""
    figure, axes = new_figure(columns=2, width=4.2, height=3.4)
    for axis, column, title in zip(axes, _LOSSES, titles, strict=True):
        axis.plot(history["epoch"], history[column], marker="o", ms=3)
        axis.set_title(title)
        _finish(axis, history)
    return figure


def _finish(axis: Axes, history: pd.DataFrame) -> None:
    kept = history["epoch"].iloc[history["validation_loss"].argmin()]
    axis.axvline(kept, color="grey", lw=0.8, ls="--", label=f"kept: epoch {kept}")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("epoch")
    axis.legend()
