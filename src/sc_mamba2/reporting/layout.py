"""Cells in two dimensions: UMAP layouts, and plots of them."""

from typing import Any

import numpy as np
import pandas as pd
import scanpy as sc
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sc_mamba2.metrics.clustering import connectivities
from sc_mamba2.metrics.neighbours import nearest_neighbours
from sc_mamba2.reporting.style import label

NEIGHBOURS = 15
_EPOCHS = 200  # as umap-learn has for more cells than 10,000; 500 look the same
_MARK_INCHES, _LETTER_INCHES, _LINE_INCHES = 0.5, 0.075, 0.18  # of a legend
MIN_CELLS = 4  # scanpy's spectral start of a UMAP needs as many


def lay_out(embedding: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Compute a two-dimensional UMAP layout of an embedding.

    Returns
    -------
    DataFrame
        One row per cell, columns ``x`` and ``y``; with too few cells or dimensions, the first two
        dimensions, padded with zeros.
    """
    values = embedding.to_numpy(dtype=np.float32)
    if len(values) < MIN_CELLS or values.shape[1] < 2:
        flat = np.zeros((len(values), 2), dtype=np.float32)
        flat[:, : values.shape[1]] = values[:, :2]
        return pd.DataFrame(flat, index=embedding.index, columns=["x", "y"])
    cells = AnnData(X=values)
    # Our own graph, the same weights: scanpy's compiles for seconds, and turns to an approximate search from
    # 8,192 cells on, which does not work with every scipy.
    near = nearest_neighbours(values, NEIGHBOURS, seed)
    cells.obsp["connectivities"] = connectivities(near).astype(np.float32)
    params = {"n_neighbors": near.indices_NK.shape[1], "method": "umap", "use_rep": "X"}
    cells.uns["neighbors"] = {"connectivities_key": "connectivities", "params": params}
    sc.tl.umap(cells, maxiter=_EPOCHS, random_state=seed)
    return pd.DataFrame(cells.obsm["X_umap"], index=embedding.index, columns=["x", "y"])


def scatter_classes(
    axis: Axes, places: pd.DataFrame, classes: pd.Series, colours: dict, title: str
) -> None:
    """Plot cells coloured by class, in alphabetical order of the classes."""
    for name in sorted(set(classes)):
        chosen = places[(classes == name).to_numpy()]
        axis.scatter(chosen["x"], chosen["y"], s=point_size(len(places)), color=[colours[name]])
    bare(axis, title)


def scatter_values(
    axis: Axes,
    places: pd.DataFrame,
    values: pd.Series,
    title: str,
    scale: str,
    least: float | None = None,
    most: float | None = None,
) -> None:
    """Plot cells coloured by a number, with a colour bar from `least` to `most`."""
    size = point_size(len(places))
    points = axis.scatter(places["x"], places["y"], c=values, s=size, vmin=least, vmax=most)
    axis.figure.colorbar(points, ax=axis, label=scale)
    bare(axis, title)


def class_legend(figure: Figure, colours: dict) -> None:
    """Add a legend of the classes below the axes, in as many columns as fit."""
    lines = _add_legend(figure, colours, figure.get_figwidth(), loc="outside lower center")
    figure.set_figheight(figure.get_figheight() + _LINE_INCHES * lines)


def class_legends(figure: Figure, axes: list[Axes], colours: list[dict]) -> None:
    """Add a legend of its classes below each of the axes."""
    lines: dict[int, int] = {}  # by row of axes, the most of them
    for axis, own in zip(axes, colours, strict=True):
        spec = axis.get_subplotspec()
        assert spec is not None
        room = figure.get_figwidth() / spec.get_gridspec().ncols - _MARK_INCHES
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.08)}
        row = spec.rowspan.start
        lines[row] = max(lines.get(row, 0), _add_legend(axis, own, room, **place))
    figure.set_figheight(figure.get_figheight() + _LINE_INCHES * sum(lines.values()))


def _add_legend(where: Figure | Axes, colours: dict, room: float, **place: Any) -> int:
    """Add a legend that fits into `room` inches, and return its number of lines."""
    names = [label(name) for name in colours]
    width = _MARK_INCHES + max(map(len, names), default=0) * _LETTER_INCHES
    columns = max(1, int(room / width))
    marks = [Line2D([], [], ls="", marker="o", color=colour) for colour in colours.values()]
    where.legend(marks, names, ncols=columns, **place)
    return -(-len(names) // columns)


def bare(axis: Axes, title: str) -> None:
    """Set the title and labels of a UMAP plot, and remove the meaningless ticks."""
    axis.set(title=title, xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2")


def point_size(cells: int) -> float:
    """Return the area of a cell's point, 2 to 18 square points."""
    return float(np.clip(6000 / max(1, cells), 2, 18))
