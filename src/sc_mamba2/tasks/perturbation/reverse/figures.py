"""Figures of a ranking: top candidates, genes that drive them, calibration, known states."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sc_mamba2.metrics.retrieval import hits, random_hits
from sc_mamba2.reporting import Picture, in_style, label, name_points, new_figure
from sc_mamba2.tasks.perturbation.reverse.comparisons import BASELINES
from sc_mamba2.tasks.perturbation.reverse.evaluate import MODEL
from sc_mamba2.tasks.perturbation.reverse.rank import Ranker
from sc_mamba2.tasks.perturbation.reverse.states import Query

MAX_CANDIDATES, MAX_DRIVER_CANDIDATES, NAMED_GENES, MAX_RANK, BINS = 15, 3, 8, 10, 5


@in_style
def candidate_figure(ranking: pd.DataFrame) -> Figure:
    """Draw probability and cosine of the top candidates; open bars were never measured."""
    first = ranking.head(MAX_CANDIDATES)[::-1]
    rows = np.arange(len(first))
    figure, axes = new_figure(2, 4.2, max(2.4, 1.2 + 0.24 * len(first)))
    for axis, column, words in zip(
        axes, ("probability", "cosine"), ("probability", "cosine of the changes"), strict=True
    ):
        for seen in (True, False):
            here = (first["seen"] == seen).to_numpy()
            axis.barh(rows[here], first[column][here], color="tab:blue", ec="tab:blue", fill=seen)
        axis.set_xlabel(words)
        axis.set_yticks(rows, [])
        axis.axvline(0, color="grey", lw=0.6)
    axes[0].set_yticks(rows, [label(name) for name in first["perturbation"]])
    axes[0].set_title("First candidates (open: never measured)")
    return figure


@in_style
def driver_figure(ranking: pd.DataFrame, ranker: Ranker, query: Query) -> Figure:
    """Draw the top candidates' predicted change of each gene over the change to the target."""
    first = list(ranking["perturbation"].head(MAX_DRIVER_CANDIDATES))
    figure, axes = new_figure(len(first), 2.8, 3.2)
    change_G, genes = query.change_G, query.symbols
    for axis, name in zip(axes, first, strict=True):
        predicted_G = ranker.changes_CG[ranker.candidates.names.index(name)]
        axis.axhline(0, color="grey", lw=0.6)
        axis.axvline(0, color="grey", lw=0.6)
        axis.scatter(change_G, predicted_G, s=6, color="tab:blue", alpha=0.6)
        shared_G = change_G * predicted_G
        axis.margins(0.12)
        best = np.argsort(-shared_G, kind="stable")[:NAMED_GENES]
        named = best[shared_G[best] > 0]
        places = np.column_stack([change_G, predicted_G])[named]
        name_points(axis, places, [genes[at] for at in named], places[:, 0] > 0)
        axis.set_title(label(name, 24))
        axis.set_xlabel("change from source to target")
    axes[0].set_ylabel("predicted change of the candidate")
    return figure


@in_style
def calibration_figure(checked: pd.DataFrame) -> Figure:
    """Draw accuracy of the first candidate over its probability, in fifths of the simulated queries."""
    figure, (axis,) = new_figure(width=4.2, height=3.8)
    axis.plot([0, 1], [0, 1], color="grey", lw=0.8, ls="--", label="as it should be")
    ordered = checked.sort_values("probability", kind="stable")
    parts = [part for part in np.array_split(np.arange(len(ordered)), BINS) if len(part)]
    probability, right, error = [], [], []
    for part in parts:
        share = float(ordered["right"].iloc[part].mean())
        probability.append(float(ordered["probability"].iloc[part].mean()))
        right.append(share)
        error.append(np.sqrt(share * (1 - share) / len(part)))
    axis.errorbar(
        probability, right, yerr=error, marker="o", ms=4, color="tab:blue", label="simulated"
    )
    axis.set(xlim=(0, 1), ylim=(-0.02, 1.02), xlabel="probability of the first candidate")
    axis.set_ylabel("share in which it is correct")
    axis.legend()
    return figure


@in_style
def known_figure(known: list[dict[str, Any]], ranking: pd.DataFrame) -> Figure:
    """Draw the share of known states whose right candidate is among the first k, by method."""
    candidates = len(ranking)
    figure, (axis,) = new_figure(width=5, height=3.8)
    first = np.arange(1, min(MAX_RANK, candidates) + 1)
    styles = ("firebrick", "o", -0.15), ("tab:blue", "s", 0), ("tab:green", "D", 0.15)
    for name, (colour, mark, offset) in zip((MODEL, *BASELINES), styles, strict=True):
        ranks = [one["ranks"][name] for one in known]
        shares = [hits(ranks, int(count)) for count in first]
        look: dict[str, Any] = {"marker": mark, "ms": 4, "lw": 0.8, "color": colour}
        # Shift the methods so that equal shares do not overlap.
        axis.plot(first + offset, shares, label=name.replace("_", " "), **look)
    chance = [random_hits(candidates, int(count)) for count in first]
    axis.plot(first, chance, color="grey", ls="--", lw=0.8, label="random")
    axis.set(ylim=(-0.02, 1.02), xlabel="number of first candidates")
    axis.set_ylabel("share of the states found")
    axis.set_xticks(first)
    axis.set_title(f"{len(known)} states of the file that are candidates")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


PICTURES = (
    Picture(
        "candidates",
        "The first candidates: probability, and similarity of their change to the change to the target",
        candidate_figure,
    ),
    Picture(
        "drivers",
        "Genes that drive the first candidates: predicted change against the change to the target",
        driver_figure,
    ),
    Picture(
        "calibration",
        "Is the first correct as often as its probability says? Simulated queries, a fifth per point",
        calibration_figure,
    ),
    Picture("known", "States of the file with a known answer: how many are found", known_figure),
)
