"""Figures of the perturbation task: volcano plot, scores by method, effects, training."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sc_mamba2.metrics.perturbation import pearson_delta
from sc_mamba2.reporting import Picture, in_style, label, losses_together, name_points, new_figure
from sc_mamba2.tasks.perturbation.evaluate import CEILING, UNIT, Truth

NAMED_GENES = 12
MAX_EFFECTS = 4
P_FLOOR = 1e-30
COLOURS = {"up": "firebrick", "down": "royalblue", "none": "lightgrey"}


@in_style
def volcano_figure(table: pd.DataFrame, name: str) -> Figure:
    """Draw -log10 p over the change of every gene; the most significant are named, even if none passes."""
    figure, (axis,) = new_figure(width=6.4, height=5)
    height = -np.log10(table["p"].clip(lower=P_FLOOR))
    significant = table["q"] < 0.05
    shown = table["direction"].where(significant, "none")
    for direction, colour in COLOURS.items():
        chosen = (shown == direction).to_numpy()
        words = f"{direction} (q < 0.05): {chosen.sum():,}" if direction != "none" else "others"
        axis.scatter(table["change"][chosen], height[chosen], s=9, color=colour, label=words)
    axis.axvline(0, color="grey", lw=0.6)
    axis.margins(x=0.15)
    named = table.sort_values("p", kind="stable").index[:NAMED_GENES]
    places = np.column_stack([table["change"], height])[table.index.get_indexer(named)]
    name_points(axis, places, table.loc[named, "gene"].tolist(), places[:, 0] < 0)
    axis.set_xlabel("predicted change of the mean (log1p CP10K)")
    axis.set_ylabel("-log10 p, from the spread of resampled estimates")
    none = "" if significant.any() else "\nnone has q < 0.05: the most significant are named"
    axis.set_title(f"{label(name)}: predicted change of every gene{none}")
    axis.legend(loc="best")
    return figure


@in_style
def unit_figure(units: list[dict[str, Any]], methods: list[str]) -> Figure:
    """Draw the Pearson delta of each held-out perturbation: methods as points, the ceiling as a bar."""
    ordered = sorted(units, key=lambda unit: unit[CEILING])
    row = 0.2 + 0.05 * len(methods)  # inches: one line a method, so equal scores do not overlap
    figure, (axis,) = new_figure(width=7, height=max(2.8, 1.4 + row * len(ordered)))
    rows = np.arange(len(ordered))
    axis.barh(
        rows, [u[CEILING] for u in ordered], color="gainsboro", label="ceiling (half of cells)"
    )
    marks = dict(zip(methods, "osD^vP*X", strict=False))
    for method, offset in zip(methods, np.linspace(0.36, -0.36, len(methods)), strict=True):
        scores = [unit["scores"][method]["pearson_delta"] for unit in ordered]
        own = method == "model"
        style = {"color": "firebrick", "zorder": 3, "s": 36} if own else {"s": 16, "alpha": 0.85}
        axis.scatter(scores, rows + offset, marker=marks.get(method, "."), label=method, **style)
    axis.margins(y=0.02)
    axis.set_yticks(rows, [f"{label(unit[UNIT])} ({unit['cells']:,})" for unit in ordered])
    axis.axvline(0, color="grey", lw=0.6)
    axis.set_xlabel("Pearson delta on held-out cells")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


@in_style
def effects_figure(truth: Truth, predicted_TG: np.ndarray, scored: list[str]) -> Figure:
    """Draw predicted over real change of every gene, for the scored units with the highest ceiling."""
    best = truth.units.loc[scored].sort_values(CEILING, ascending=False).index[:MAX_EFFECTS]
    figure, axes = new_figure(columns=max(1, len(best)), width=3.2, height=3.4)
    predicted_UG = truth.weight_UT @ predicted_TG
    for axis, name in zip(axes, best, strict=False):
        place = truth.units.index.get_loc(name)
        real_G = truth.delta_UG[place, truth.genes_G]
        effect_G = predicted_UG[place, truth.genes_G]
        limit = 1.05 * max(float(np.abs(real_G).max()), float(np.abs(effect_G).max()), 1e-6)
        axis.plot([-limit, limit], [-limit, limit], color="grey", lw=0.6, ls="--")
        axis.scatter(real_G, effect_G, s=6, color="firebrick", alpha=0.6)
        axis.set(xlim=(-limit, limit), ylim=(-limit, limit), xlabel="real change")
        axis.set_title(f"{label(name, 26)}: r = {pearson_delta(effect_G, real_G):.2f}")
    figure.supylabel("predicted change (held out)", fontsize=9)
    return figure


def training_figure(history: pd.DataFrame) -> Figure | None:
    """Draw both losses over the epochs, if any."""
    labels = ("training effects", "validation effects")
    unit = "squared error, in units of an effect"
    return losses_together(history, labels, unit) if len(history) else None


PICTURES = (
    Picture(
        "volcano",
        "Predicted change of every gene; p from the spread of resampled estimates",
        volcano_figure,
    ),
    Picture(
        "held_out",
        "Held-out perturbations: Pearson delta of every method, and the noise ceiling",
        unit_figure,
    ),
    Picture(
        "effects",
        "Predicted against real change of the held-out cells, one point per gene",
        effects_figure,
    ),
    Picture("training", "Losses over the epochs of the Mamba2 layers' training", training_figure),
)
