"""The pictures of a batch correction: cells before and after, by batch and by type; the training."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sc_mamba2.reporting import lay_out, new_figure


def before_and_after(
    before_ND: np.ndarray, after_NE: np.ndarray, cells: pd.Index, seed: int
) -> dict[str, pd.DataFrame]:
    """Lay the cells out by UMAP, of the embedding before and of the corrected one."""
    return {
        "before: principal components": lay_out(_table(before_ND, cells), seed),
        "after: corrected embedding": lay_out(_table(after_NE, cells), seed),
    }


def _table(embedding: np.ndarray, cells: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(embedding, index=cells)


def training_figure(history: pd.DataFrame) -> Figure:
    """Draw both losses over the epochs, each in its own axes: they measure different things."""
    figure, axes = new_figure(columns=2, width=4.6, height=3.4)
    kept = history.loc[history["validation_loss"].idxmin(), "epoch"]
    labels = {
        "training_loss": "training: reconstruction + adversary",
        "validation_loss": "validation: reconstruction + batch in neighbours",
    }
    for axis, (column, label) in zip(axes, labels.items(), strict=True):
        axis.plot(history["epoch"], history[column], marker="o", ms=3)
        axis.axvline(kept, color="grey", lw=0.8, ls="--", label=f"kept: epoch {kept}")
        axis.set_xlabel("epoch")
        axis.set_title(label)
        axis.legend()
    return figure
