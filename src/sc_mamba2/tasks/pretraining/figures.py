"""The figure of pretraining."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sc_mamba2.reporting import Picture, draw_pictures, in_style, new_figure


@in_style
def loss_figure(history: pd.DataFrame) -> Figure:
    """Plot the loss over the steps, and the error on held-out cells compared with the gene means.

    The error is that of masked bins or, with count splitting, nats per left-out molecule.

    Parameters
    ----------
    history
        A journal: `step`, `loss`, and `held_out/…` if cells were held out.
    """
    molecules, held_out = "loss/plain" in history, "held_out/loss" in history
    figure, axes = new_figure(columns=2 if held_out else 1, width=4.2, height=3.4)
    steps = history.dropna(subset=["loss"])
    axes[0].plot(steps["step"], steps["loss"], label="training", linewidth=1)
    axes[0].set(xlabel="step", ylabel="loss a cell" if molecules else "loss a masked token")
    if held_out:
        rows = history.dropna(subset=["held_out/loss"])
        if molecules:
            _draw(axes[1], rows, _NATS, "nats a molecule left out")
            level = rows["held_out/means_posterior"].iloc[-1]
            axes[1].axhline(level, color="grey", linestyle="--", label="study's gene means")
            axes[1].margins(y=0.4)  # room for the legend
        else:
            axes[0].plot(rows["step"], rows["held_out/loss"], marker="o", label="held out")
            _draw(axes[1], rows, _ERRORS, "squared error of masked bins")
        axes[1].legend()
    axes[0].legend()
    return figure


def _draw(axis: Axes, rows: pd.DataFrame, labels: dict[str, str], scale: str) -> None:
    for (name, label), mark in zip(
        labels.items(), "osD", strict=False
    ):  # open markers: overlapping ones stay visible
        axis.plot(rows["step"], rows[f"held_out/{name}"], marker=mark, mfc="none", label=label)
    axis.set(xlabel="step", ylabel=scale)


def draw_loss(history: pd.DataFrame) -> dict[str, bytes]:
    """Draw the figures as PNG files by name."""
    return draw_pictures(PICTURES, history=history)


_ERRORS = {"model": "from the token", "cell": "from the cell", "gene_mean": "gene mean"}
_NATS = {"posterior": "as it comes", "own_posterior": "moved to the study's gene means"}
PICTURES = (
    Picture(
        "loss",
        "Loss over the steps, and the score of held-out cells next to their gene means",
        loss_figure,
    ),
)
