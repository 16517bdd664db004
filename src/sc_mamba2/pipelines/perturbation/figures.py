"""The pictures of a perturbation: volcano, held-out perturbations by method, effects, the training."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sc_mamba2.metrics.perturbation import pearson_delta
from sc_mamba2.pipelines.perturbation.evaluate import CEILING, UNIT, Truth
from sc_mamba2.reporting import in_style, losses_together, new_figure

NAMED_GENES = 12
MOST_EFFECTS = 4
LEAST_P = 1e-30
COLOURS = {"up": "firebrick", "down": "royalblue", "none": "lightgrey"}


@in_style
def volcano_figure(table: pd.DataFrame, name: str) -> Figure:
    """Draw the change of every gene over how sure it is; the surest are named.

    Parameters
    ----------
    table
        Genes with ``gene``, ``change``, ``p``, ``q``, ``direction``, surest first.
    name
        The perturbation.
    """
    figure, (axis,) = new_figure(width=6.4, height=5)
    height = -np.log10(table["p"].clip(lower=LEAST_P))
    sure = table["q"] < 0.05
    shown = table["direction"].where(sure, "none")
    for direction, colour in COLOURS.items():
        chosen = (shown == direction).to_numpy()
        label = f"{direction} (q < 0.05): {chosen.sum():,}" if direction != "none" else "others"
        axis.scatter(table["change"][chosen], height[chosen], s=9, color=colour, label=label)
    named: list[tuple[float, float]] = []
    across, up = np.ptp(table["change"]) or 1.0, np.ptp(height) or 1.0
    for ident in table.index[sure][:NAMED_GENES]:
        place = (table.loc[ident, "change"], height.loc[ident])
        if any(abs(place[0] - x) < across / 6 and abs(place[1] - y) < up / 40 for x, y in named):
            continue  # it would be written over another
        named.append(place)
        offset = (4 if place[0] >= 0 else -4, 2)
        side = "left" if place[0] >= 0 else "right"
        axis.annotate(
            table.loc[ident, "gene"],
            place,
            xytext=offset,
            textcoords="offset points",
            fontsize=8,
            ha=side,
        )
    axis.axvline(0, color="grey", lw=0.6)
    axis.margins(x=0.15)
    axis.set_xlabel("predicted change of the mean (log1p CP10K)")
    axis.set_ylabel("-log10 p, from the spread of resampled estimates")
    axis.set_title(f"{name}: predicted change of every gene")
    axis.legend(loc="best")
    return figure


@in_style
def unit_figure(units: list[dict[str, Any]], methods: list[str]) -> Figure:
    """Draw the Pearson delta of every held-out perturbation: methods as points, the ceiling a bar."""
    ordered = sorted(units, key=lambda unit: unit[CEILING])
    figure, (axis,) = new_figure(width=7, height=max(2.8, 1.4 + 0.34 * len(ordered)))
    rows = np.arange(len(ordered))
    axis.barh(
        rows, [u[CEILING] for u in ordered], color="gainsboro", label="ceiling (half of cells)"
    )
    marks = dict(zip(methods, "osD^vP*X", strict=False))
    for method in methods:
        scores = [unit["scores"][method]["pearson_delta"] for unit in ordered]
        own = method == "model"
        style = {"color": "firebrick", "zorder": 3, "s": 42} if own else {"s": 20, "alpha": 0.75}
        axis.scatter(scores, rows, marker=marks.get(method, "."), label=method, **style)
    axis.set_yticks(rows, [f"{unit[UNIT]} ({unit['cells']:,})" for unit in ordered])
    axis.axvline(0, color="grey", lw=0.6)
    axis.set_xlabel("Pearson delta on held-out cells")
    figure.legend(loc="outside lower center", ncols=4)
    return figure


@in_style
def effects_figure(truth: Truth, predicted_TG: np.ndarray, scored: list[str]) -> Figure:
    """Draw predicted over real change of every gene, for the scored units of the highest ceiling."""
    best = truth.units.loc[scored].sort_values(CEILING, ascending=False).index[:MOST_EFFECTS]
    figure, axes = new_figure(columns=max(1, len(best)), width=3.2, height=3.4)
    predicted_UG = truth.weight_UT @ predicted_TG
    for axis, name in zip(axes, best, strict=False):
        place = truth.units.index.get_loc(name)
        real_G = truth.delta_UG[place, truth.genes_G]
        told_G = predicted_UG[place, truth.genes_G]
        limit = 1.05 * max(float(np.abs(real_G).max()), float(np.abs(told_G).max()), 1e-6)
        axis.plot([-limit, limit], [-limit, limit], color="grey", lw=0.6, ls="--")
        axis.scatter(real_G, told_G, s=6, color="firebrick", alpha=0.6)
        axis.set(xlim=(-limit, limit), ylim=(-limit, limit), xlabel="real change")
        axis.set_title(f"{name}: r = {pearson_delta(told_G, real_G):.2f}")
    axes[0].set_ylabel("predicted change (held out)")
    return figure


def training_figure(history: pd.DataFrame) -> Figure:
    """Draw both losses over the epochs."""
    labels = ("training effects", "validation effects")
    return losses_together(history, labels, "squared error, in units of an effect")
