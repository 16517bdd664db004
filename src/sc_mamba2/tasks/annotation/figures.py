"""Figures of annotation: UMAP by call, truth and confidence; confusion; calibration; training."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.calibration import calibration_curve

from sc_mamba2.cells import keys
from sc_mamba2.metrics.classification import CALIBRATION_BINS, confusion
from sc_mamba2.reporting import (
    Picture,
    class_legend,
    draw_shares,
    fewer_classes,
    in_style,
    label,
    losses_together,
    new_figure,
    palette,
    scatter_classes,
    scatter_values,
    shares_size,
)


@in_style
def umap_figure(places: pd.DataFrame, calls: pd.DataFrame, truth: pd.Series) -> Figure:
    """Draw the cells by call, by true type if known, and by confidence."""
    called, truth = fewer_classes(calls[keys.CELL_TYPE], truth)
    colours = palette(sorted(set(called) | set(truth)))
    figure, axes = new_figure(columns=3 if len(truth) else 2, width=4.2, height=4.2)
    scatter_classes(axes[0], places, called, colours, "predicted type")
    if len(truth):
        scatter_classes(axes[1], places.loc[truth.index], truth, colours, "true type")
    scale = "probability of the predicted type"
    scatter_values(axes[-1], places, calls[keys.CONFIDENCE], "confidence", scale, 0, 1)
    class_legend(figure, colours)
    return figure


@in_style
def confusion_figure(calls: pd.DataFrame, scored: pd.Series) -> Figure:
    """Draw the confusion matrix: shares of each true type (rows) by called type (columns)."""
    called, scored = fewer_classes(calls.loc[scored.index, keys.CELL_TYPE], scored)
    names, counts = confusion(scored.to_numpy(), called.to_numpy())
    cells = counts.sum(axis=1)
    figure, (axis,) = new_figure(1, *shares_size(len(names)))
    rows = [f"{label(name)} ({count:,})" for name, count in zip(names, cells, strict=True)]
    image = draw_shares(axis, counts / np.maximum(1, cells[:, None]), rows, list(map(label, names)))
    axis.set_xlabel("predicted type")
    axis.set_ylabel("true type (cells)")
    figure.colorbar(image, ax=axis, label="share of the true type", shrink=0.8)
    return figure


@in_style
def calibration_figure(calls: pd.DataFrame, scored: pd.Series) -> Figure:
    """Draw accuracy over confidence, and the number of cells, in tenths of confidence."""
    chosen = calls.loc[scored.index]
    right = (chosen[keys.CELL_TYPE] == scored).to_numpy()
    confidence = chosen[keys.CONFIDENCE].to_numpy().clip(0, 1)
    accuracy, mean = calibration_curve(right, confidence, n_bins=CALIBRATION_BINS)
    figure, (axis,) = new_figure(width=4.6, height=4)
    axis.plot([0, 1], [0, 1], color="grey", lw=0.8, ls="--", label="perfect")
    axis.plot(mean, accuracy, marker="o", ms=4, label="the scored cells")
    axis.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="mean confidence", ylabel="accuracy")
    counts = axis.twinx()
    counts.hist(confidence, bins=CALIBRATION_BINS, range=(0, 1), alpha=0.2, color="grey")
    counts.set_ylabel("cells")
    axis.legend(loc="upper left")
    return figure


def training_figure(history: pd.DataFrame) -> Figure:
    """Draw training and validation loss over the epochs."""
    labels = ("training cells", "validation cells")
    return losses_together(history, labels, "cross entropy a cell (weighted)")


PICTURES = (
    Picture(
        "umap",
        "Cells by predicted type, true type and confidence (UMAP of the model's embedding)",
        umap_figure,
    ),
    Picture("confusion", "Share of each true type that was given each type", confusion_figure),
    Picture(
        "calibration",
        "Accuracy of the calls over their confidence: on the line, a confidence means what it says",
        calibration_figure,
    ),
    Picture("training", "Loss over the epochs", training_figure),
)
