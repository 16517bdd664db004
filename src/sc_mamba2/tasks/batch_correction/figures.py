"""Figures of batch correction: cells before and after, by batch and by type; training losses."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sc_mamba2.reporting import Picture, class_figure, lay_out, losses_apart

Layouts = dict[str, pd.DataFrame]


def before_and_after(
    before_ND: np.ndarray, after_NE: np.ndarray, cells: pd.Index, seed: int
) -> Layouts:
    """Compute UMAP layouts of the uncorrected and the corrected embedding."""
    return {
        "before: principal components": lay_out(pd.DataFrame(before_ND, cells), seed),
        "after: corrected embedding": lay_out(pd.DataFrame(after_NE, cells), seed),
    }


def batch_figure(places: Layouts, batches: pd.Series) -> Figure:
    """Plot the cells coloured by batch."""
    return class_figure(places, batches)


def type_figure(places: Layouts, labels: pd.Series) -> Figure | None:
    """Plot the cells that have a type, coloured by it."""
    return class_figure(places, labels) if len(labels) else None


def training_figure(history: pd.DataFrame) -> Figure:
    """Plot both losses over the epochs."""
    titles = (
        "training: reconstruction + adversary",
        "validation: reconstruction + batch in neighbours",
    )
    return losses_apart(history, titles)


PICTURES = (
    Picture("by_batch", "Cells by batch, before and after the correction (UMAP)", batch_figure),
    Picture("by_type", "Cells by type, before and after the correction (UMAP)", type_figure),
    Picture("training", "Losses over the epochs", training_figure),
)
