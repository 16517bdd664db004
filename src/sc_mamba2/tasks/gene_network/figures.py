"""Figures of a network: heat map of the correlations, and the graph of the top edges."""

import random
from typing import Any

import igraph
import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage

from sc_mamba2.methods.gene_modules import make_graph
from sc_mamba2.reporting import Picture, in_style, label, name_points, new_figure, palette
from sc_mamba2.reporting.style import MAX_WIDTH
from sc_mamba2.tasks.gene_network.params import Method
from sc_mamba2.tasks.gene_network.scores import PairScores

MAX_ROWS, MAX_COLUMNS, MAX_NAMES = 30, 50, 60


@in_style
def heat_map_figure(scores: PairScores, method: Method) -> Figure:
    """Plot the correlations of the regulators and targets with the best scores."""
    chosen_RT = np.where(scores.choice.pairs(), scores.by_method[method], -np.inf)
    rows = np.argsort(-chosen_RT.max(axis=1), kind="stable")[:MAX_ROWS]
    columns = np.argsort(-chosen_RT[rows].max(axis=0), kind="stable")[:MAX_COLUMNS]
    correlation = np.where(scores.choice.pairs(), scores.by_method["correlation"], 0)
    columns, shown = _alike_together(correlation[np.ix_(rows, columns)].T, columns)
    rows, shown = _alike_together(shown.T, rows)
    most = float(np.abs(shown).max()) or 1.0
    width, height = 2 + 0.17 * len(columns), 1.5 + 0.17 * len(rows)
    figure, (axis,) = new_figure(1, min(max(5.0, width), MAX_WIDTH), max(3.5, height))
    picture = axis.imshow(shown, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    axis.set_xticks(
        range(len(columns)),
        [label(name) for name in scores.choice.target_symbols[columns]],
        rotation=90,
    )
    axis.set_yticks(
        range(len(rows)), [label(name) for name in scores.choice.regulator_symbols[rows]]
    )
    axis.tick_params(labelsize=7)
    axis.set_xlabel("target")
    axis.set_ylabel("regulator")
    axis.set_title("Regulators and targets of the best edges: how they go together")
    figure.colorbar(picture, ax=axis, label="Spearman's correlation")
    return figure


def _alike_together(values: np.ndarray, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Order rows by hierarchical clustering."""
    if len(values) < 3:
        return names, values
    order = leaves_list(linkage(values, "average"))
    return names[order], values[order]


@in_style
def graph_figure(edges: pd.DataFrame, modules: pd.DataFrame, seed: int) -> Figure:
    """Plot the graph of the top edges (see `edge_table`) with their modules (see `find_modules`)."""
    graph = make_graph(edges, modules)
    places = _places(graph, seed)
    colours = palette([str(module) for module in sorted(set(modules["module"]))])
    figure, (axis,) = new_figure(1, MAX_WIDTH, 7.5)
    lines: Any = [places[list(edge.tuple)] for edge in graph.es]
    signs = ["tab:red" if sign > 0 else "tab:blue" for sign in graph.es["sign"]]
    axis.add_collection(LineCollection(lines, colors=signs, linewidths=0.6, alpha=0.45))
    sources = modules["is_source"].to_numpy()
    drawn = [colours[str(module)] for module in modules["module"]]
    for chosen, marker, size in ((~sources, "o", 18), (sources, "D", 45)):
        own = [colour for colour, here in zip(drawn, chosen, strict=True) if here]
        axis.scatter(
            places[chosen, 0], places[chosen, 1], s=size, color=own or None, marker=marker, zorder=2
        )
    named = np.lexsort((-modules["degree"], ~sources))[:MAX_NAMES]
    names = modules["gene"].iloc[named].tolist()
    name_points(axis, places[named], names, np.zeros(len(named), dtype=bool))
    axis.set_title(
        f"The {len(edges)} best edges (diamonds: regulators; red: rise together, blue: one falls; "
        "colours: modules)"
    )
    axis.set_axis_off()
    return figure


def _places(graph: igraph.Graph, seed: int) -> np.ndarray:
    """Return the layout of a graph, (genes, 2), determined by the seed."""
    igraph.set_random_number_generator(random.Random(seed))
    try:
        layout = graph.layout_fruchterman_reingold(niter=1000)
    finally:
        igraph.set_random_number_generator(random)  # igraph's own default
    return np.asarray(layout.coords, dtype=np.float64).reshape(-1, 2)


PICTURES = (
    Picture(
        "heat_map",
        "How the regulators and targets of the best edges go together in the cells",
        heat_map_figure,
    ),
    Picture("network", "The best edges as a graph", graph_figure),
)
