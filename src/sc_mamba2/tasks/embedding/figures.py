"""Figures of an embedding: UMAP by every key, and the classes of each class's neighbours."""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.neighbors import NearestNeighbors

from sc_mamba2.cells import keys
from sc_mamba2.reporting import (
    Picture,
    class_legends,
    draw_shares,
    fewer_classes,
    in_style,
    label,
    lay_out,
    new_figure,
    scatter_classes,
    scatter_values,
    shared_palettes,
    shares_size,
)
from sc_mamba2.tasks.embedding.baselines import GENES
from sc_mamba2.tasks.embedding.blocks import BATCH, LABEL
from sc_mamba2.tasks.shared.facts import vector_columns

UNKNOWN = "(none)"


def values_to_draw(
    sample: AnnData, calls: pd.DataFrame | None, neighbours: int, seed: int
) -> dict[str, Any]:
    """Return the data of the figures, by argument name.

    Parameters
    ----------
    sample
        See `baselines.sample_cells`.
    calls
        Types from an index, for at least these cells, or ``None``.
    """
    vectors = sample.obsm[keys.EMBEDDING]
    own = {key: _text(sample.obs[key]) for key in (LABEL, BATCH) if key in sample.obs}
    classes, shades = own, {"genes read of the cell": sample.obs[GENES]}
    if calls is not None:
        mapped = calls.loc[sample.obs_names]
        classes = own | {"type from the index": _text(mapped[keys.CELL_TYPE])}
        shades |= {"distance to the reference": mapped[keys.DISTANCE]}
    return {
        "places": lay_out(vector_columns(vectors, sample.obs_names), seed),
        "classes": classes,
        "shades": shades,
        "vectors": vectors,
        "keys_of_cells": own,
        "neighbours": neighbours,
    }


@in_style
def umap_figure(
    places: pd.DataFrame, classes: dict[str, pd.Series], shades: dict[str, pd.Series]
) -> Figure:
    """Plot the UMAP coloured by each column: classes with a legend, shades with a colour bar."""
    colours = shared_palettes(classes)
    figure, axes = new_figure(columns=len(classes) + len(shades), width=4.2, height=3.8)
    for axis, (title, column) in zip(axes, classes.items(), strict=False):
        scatter_classes(axis, places, column, colours[title], title)
    for axis, (title, values) in zip(axes[len(classes) :], shades.items(), strict=True):
        scatter_values(axis, places, values, title, title)
    own = [{one: colours[name][one] for one in sorted(set(classes[name]))} for name in classes]
    class_legends(figure, axes[: len(classes)], own)
    return figure


@in_style
def neighbours_figure(
    vectors: np.ndarray, keys_of_cells: dict[str, pd.Series], neighbours: int
) -> Figure | None:
    """Plot the shares of classes among the nearest neighbours of each class, per key."""
    if not keys_of_cells or len(vectors) < 2:
        return None
    search = NearestNeighbors(n_neighbors=min(neighbours, len(vectors) - 1)).fit(vectors)
    near = search.kneighbors(return_distance=False)  # without the cell itself
    rows = max(column.nunique() for column in keys_of_cells.values())
    figure, axes = new_figure(len(keys_of_cells), *shares_size(rows))
    for axis, (title, column) in zip(axes, keys_of_cells.items(), strict=True):
        _shares(axis, column, near, title)
    return figure


def _shares(axis: Axes, column: pd.Series, near: np.ndarray, title: str) -> None:
    names, codes = np.unique(column.to_numpy(dtype=str), return_inverse=True)
    counts = np.zeros((len(names), len(names)))
    np.add.at(counts, (codes[:, None], codes[near]), 1)
    shares = counts / counts.sum(axis=1, keepdims=True)
    labels = [label(name) for name in names]
    draw_shares(axis, shares, labels, labels)
    axis.set_xlabel(f"{title} of the neighbours")
    axis.set_ylabel(f"{title} of the cell")
    axis.set_title(f"share of the {near.shape[1]} nearest neighbours")


def _text(column: pd.Series) -> pd.Series:
    """Return classes as text, with the rarest merged if there are too many."""
    text = column.astype(object).where(column.notna(), UNKNOWN).astype(str)
    return fewer_classes(text)[0]


PICTURES = (
    Picture("umap", "Cells by type, batch and genes read (UMAP of the embedding)", umap_figure),
    Picture(
        "neighbours",
        "Types and batches of the nearest neighbours of each type and batch",
        neighbours_figure,
    ),
)
