"""Several layouts of the same cells side by side, cells by class."""

import pandas as pd
from matplotlib.figure import Figure

from sc_mamba2.reporting.layout import class_legend, scatter_classes
from sc_mamba2.reporting.style import in_style, new_figure, palette

MOST_NAMES = 20


@in_style
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
    class_legend(figure, colours)
    return figure
