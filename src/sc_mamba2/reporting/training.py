"""How a training went, drawn: its losses over the epochs, and the epoch that was kept."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sc_mamba2.reporting.style import in_style, new_figure

_COLUMNS = ("training_loss", "validation_loss")


@in_style
def losses_together(history: pd.DataFrame, labels: tuple[str, str], unit: str) -> Figure:
    """Draw training and validation loss in the same axes.

    Parameters
    ----------
    history
        Rows by ``epoch`` with ``training_loss`` and ``validation_loss``.
    labels
        What each is of.
    unit
        Of both.
    """
    figure, (axis,) = new_figure(width=6, height=3.6)
    for column, label in zip(_COLUMNS, labels, strict=True):
        axis.plot(history["epoch"], history[column], marker="o", ms=3, label=label)
    axis.set_ylabel(unit)
    _finish(axis, history)
    return figure


@in_style
def losses_apart(history: pd.DataFrame, titles: tuple[str, str]) -> Figure:
    """Draw both losses, each in its own axes: they measure different things."""
    figure, axes = new_figure(columns=2, width=4.6, height=3.4)
    for axis, column, title in zip(axes, _COLUMNS, titles, strict=True):
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
