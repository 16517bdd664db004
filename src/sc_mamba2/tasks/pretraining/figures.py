"""The picture of a pretraining."""

import pandas as pd
from matplotlib.figure import Figure

from sc_mamba2.reporting import in_style, new_figure
from sc_mamba2.reporting.pictures import Picture, draw_pictures


@in_style
def loss_figure(history: pd.DataFrame) -> Figure:
    """Draw the loss over the steps, and the masked error of held-out cells beside the gene mean.

    Parameters
    ----------
    history
        A journal: `step`, `loss`, and `held_out/…` where cells were held out.
    """
    held_out = "held_out/loss" in history
    figure, axes = new_figure(columns=2 if held_out else 1, width=4.6, height=3.4)
    steps = history.dropna(subset=["loss"])
    axes[0].plot(steps["step"], steps["loss"], label="training", linewidth=1)
    axes[0].set(xlabel="step", ylabel="loss a masked token")
    if held_out:
        rows = history.dropna(subset=["held_out/loss"])
        axes[0].plot(rows["step"], rows["held_out/loss"], marker="o", label="held out")
        for name, label in _ERRORS.items():
            axes[1].plot(rows["step"], rows[f"held_out/{name}"], marker="o", label=label)
        axes[1].set(xlabel="step", ylabel="squared error of masked bins")
        axes[1].legend()
    axes[0].legend()
    return figure


def draw_loss(history: pd.DataFrame) -> dict[str, bytes]:
    """Draw the figures as PNG files by name."""
    return draw_pictures(PICTURES, history=history)


_ERRORS = {"model": "from the token", "cell": "from the cell", "gene_mean": "gene mean"}
PICTURES = (
    Picture(
        "loss",
        "Loss over the steps, and the masked error of held-out cells beside the gene mean",
        loss_figure,
    ),
)
