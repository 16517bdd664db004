"""Several layouts of the same cells side by side, cells by class."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sc_mamba2.reporting.layout import scatter_classes
from sc_mamba2.reporting.style import new_figure, palette

MOST_NAMES = 20


def class_figure(places: dict[str, pd.DataFrame], classes: pd.Series) -> Figure:
    """Draw layouts side by side, cells by class; the rarest of many classes are one.

    Parameters
    ----------
    places
        Layouts of `lay_out` by title.
    classes
        Class of the cells that have one.
    """
    common = classes.value_counts().index[:MOST_NAMES]
    shown = classes.astype(object).where(classes.isin(common), "other")
    colours = palette(sorted(set(shown)))
    figure, axes = new_figure(columns=len(places), width=5.0, height=5.0)
    for axis, (title, layout) in zip(axes, places.items(), strict=True):
        scatter_classes(axis, layout.loc[shown.index], shown, colours, title)
    marks = [Line2D([], [], ls="", marker="o", color=colour) for colour in colours.values()]
    figure.legend(
        marks, list(colours), loc="outside lower center", ncols=min(5, len(marks)), frameon=False
    )
    return figure
