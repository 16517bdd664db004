"""Cells in two dimensions: their layout by UMAP, and how such a layout is drawn."""

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
FEWEST_CELLS = 4  # scanpy's spectral start of a UMAP needs as many


def lay_out(embedding: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Lay cells out in two dimensions by UMAP over their nearest neighbours.

    Returns
    -------
    DataFrame
        A row for each of the embedding, columns ``x`` and ``y``; the first two dimensions, or zeros,
        where there is too little to lay out.
    """
    values = embedding.to_numpy(dtype=np.float32)
    if len(values) < FEWEST_CELLS or values.shape[1] < 2:
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
    """Draw cells by class, the classes in alphabetical order."""
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
    """Draw cells by a number, with its scale from the least to the most."""
    size = point_size(len(places))
    points = axis.scatter(places["x"], places["y"], c=values, s=size, vmin=least, vmax=most)
    axis.figure.colorbar(points, ax=axis, label=scale)
    bare(axis, title)


def class_legend(figure: Figure, colours: dict) -> None:
    """Name the classes below the axes: as many side by side as there is room for, under it the rest."""
    names = [label(name) for name in colours]
    width = _MARK_INCHES + max(map(len, names), default=0) * _LETTER_INCHES
    columns = max(1, int(figure.get_figwidth() / width))
    figure.set_figheight(figure.get_figheight() + _LINE_INCHES * -(-len(names) // columns))
    marks = [Line2D([], [], ls="", marker="o", color=colour) for colour in colours.values()]
    figure.legend(marks, names, loc="outside lower center", ncols=columns)


def bare(axis: Axes, title: str) -> None:
    """Give axes of a layout their title and take the ticks, which mean nothing."""
    axis.set(title=title, xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2")


def point_size(cells: int) -> float:
    """Return the area of a cell's point, 2 to 18 square points."""
    return float(np.clip(6000 / max(1, cells), 2, 18))
