"""The pictures of multi-omics: cells by each embedding, features told and measured, the training."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sc_mamba2.metrics.prediction import pearson_of_features
from sc_mamba2.reporting import in_style, label, lay_out, losses_apart, new_figure

SHOWN = 6


def layouts(
    embeddings: dict[str, np.ndarray], cells: pd.Index, seed: int
) -> dict[str, pd.DataFrame]:
    """Lay the cells out by UMAP, for every embedding by its title."""
    return {
        title: lay_out(pd.DataFrame(own, index=cells), seed) for title, own in embeddings.items()
    }


@in_style
def told_figure(told_NP: np.ndarray, actual_NP: np.ndarray, names: list[str], kind: str) -> Figure:
    """Draw features as told against as measured: the first six by how much they vary.

    Parameters
    ----------
    told_NP, actual_NP
        Of the scored cells that have the modality.
    names
        P names.
    kind
        Modality.
    """
    shown = np.argsort(-actual_NP.var(axis=0))[: min(SHOWN, len(names))]
    correlation_P = pearson_of_features(told_NP[:, shown], actual_NP[:, shown])
    figure, axes = new_figure(columns=len(shown), width=2.4, height=2.8)
    for axis, place, correlation in zip(axes, shown, correlation_P, strict=True):
        axis.scatter(actual_NP[:, place], told_NP[:, place], s=5, alpha=0.6, color="tab:blue")
        low, high = actual_NP[:, place].min(), actual_NP[:, place].max()
        axis.plot([low, high], [low, high], color="grey", lw=0.8, ls="--")
        axis.set_title(f"{label(names[place], 22)}\nr = {correlation:.2f}")
        axis.set_xlabel("measured")
    axes[0].set_ylabel(f"{kind} told from the others")
    return figure


@in_style
def against_ridge_figure(own_P: np.ndarray, ridge_P: np.ndarray, kind: str) -> Figure:
    """Draw each feature's correlation by the model against that by ridge."""
    figure, (axis,) = new_figure(width=4.2, height=4.0)
    axis.scatter(ridge_P, own_P, s=12, color="tab:blue")
    low = float(min(np.nanmin(ridge_P), np.nanmin(own_P), 0.0))
    axis.plot([low, 1], [low, 1], color="grey", lw=0.8, ls="--")
    better = int((own_P > ridge_P).sum())
    axis.set_title(f"{kind}: {better} of {len(own_P)} features above ridge")
    axis.set_xlabel("correlation by ridge")
    axis.set_ylabel("correlation by the model")
    return figure


def training_figure(history: pd.DataFrame) -> Figure:
    """Draw both losses over the epochs."""
    titles = (
        "training: reconstruction + adversary",
        "validation: told from all, and from each alone",
    )
    return losses_apart(history, titles)
