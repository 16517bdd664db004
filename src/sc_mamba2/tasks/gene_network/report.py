"""The report of a network: which method finds the known edges best, figures, top edges, modules."""

from typing import Any

import pandas as pd

from sc_mamba2.reporting import (
    Section,
    Table,
    baseline_sentences,
    comparison,
    draw_pictures,
    pictures_section,
    score_table,
    scores_by_method,
    task_report,
)
from sc_mamba2.tasks.gene_network.figures import PICTURES
from sc_mamba2.tasks.gene_network.params import NetworkParams, ScoreParams
from sc_mamba2.tasks.gene_network.scores import PairScores, edge_table
from sc_mamba2.tasks.shared.parameters import flat_parameters
from sc_mamba2.training import ComputeOptions

GROUPS = ("ingestion", "validation", "gene_network", "compute")
_SHOWN_EDGES, _SHOWN_GENES = 200, 12
_EDGES = (
    "All are in the CSV file. Agreement: how many of correlation, boosting, cosine and knock-outs hold the "
    "target among the best twentieth of the regulator's."
)


def report(
    scores: PairScores,
    edges: pd.DataFrame,
    modules: pd.DataFrame,
    metrics: dict[str, Any],
    parameters: dict[str, Any],
    scoring: ScoreParams,
    network: NetworkParams,
    compute: ComputeOptions,
) -> tuple[dict[str, bytes], str]:
    """Draw the figures, PNG by name, and write the one-file HTML report."""
    method = scoring.method
    drawn = {"edges": edge_table(scores, method, network.drawn), "modules": modules}
    figures = draw_pictures(PICTURES, scores=scores, method=method, seed=compute.seed, **drawn)
    flat = flat_parameters(parameters, GROUPS)
    return figures, network_report(metrics, edges, modules, figures, flat)


def network_report(
    metrics: dict[str, Any],
    edges: pd.DataFrame,
    modules: pd.DataFrame,
    figures: dict[str, bytes],
    parameters: dict[str, Any],
) -> str:
    """Write the HTML page from ``metrics.json``, the tables of `scores.make_network`, PNG files by name
    and parameters by dotted name.
    """
    run = metrics["run"]
    sections = [
        Section("How well it went", verdict(metrics), _score_tables(metrics)),
        pictures_section(figures, PICTURES),
        Section("Best edges", tables=[_edge_table(edges)]),
        Section("Modules", tables=[_module_table(modules)]),
    ]
    return task_report("Gene network", metrics.get("summary", ()), sections, parameters, run)


def verdict(metrics: dict[str, Any]) -> list[str]:
    """Describe which method ranks the known edges best, and what pretraining contributed."""
    if not metrics["model"]:
        return [
            "No reference network was given, or it has no edge between these genes, so the accuracy of the "
            "edges is unknown."
        ]
    own = metrics["model"]["auprc_ratio"]
    words = baseline_sentences(metrics)
    for name, scores in metrics["ablations"].items():
        other = scores["auprc_ratio"]
        words.append(
            f"The model's AUPRC ratio of {own:.3f} {comparison(own, other)} {name} ({other:.3f})."
        )
    ranked = sorted(
        ({"the model": metrics["model"]} | metrics["baselines"]).items(),
        key=lambda item: -item[1]["auprc_ratio"],
    )
    return [f"Best by AUPRC ratio: {ranked[0][0]}; 1 is chance.", *words]


def _score_tables(metrics: dict[str, Any]) -> list[Table]:
    if not metrics["model"]:
        return []
    data = metrics["data"]
    caption = (
        f"{data['judged_pairs']:,} pairs of {data['judged_regulators']:,} regulators, of which "
        f"{data['known_edges']:,} are known edges. Ratios are over a random order; early precision: of as "
        "many pairs as there are known edges."
    )
    columns = list(metrics["model"])
    return [score_table(scores_by_method(metrics), columns, caption, best_by="auprc_ratio")]


def _edge_table(edges: pd.DataFrame) -> Table:
    names = ["source", "target", "score", "agreement", "correlation", "boosting", "cosine"]
    rows = [
        [f"{value:.3f}" if isinstance(value, float) else str(value) for value in line]
        for line in edges[names].head(_SHOWN_EDGES).itertuples(index=False)
    ]
    return Table([name.replace("_", " ") for name in names], rows, _EDGES)


def _module_table(modules: pd.DataFrame) -> Table:
    rows = []
    for module, genes in modules.groupby("module"):
        named = ", ".join(genes["gene"].head(_SHOWN_GENES))
        more = ", …" if len(genes) > _SHOWN_GENES else ""
        rows.append([str(module), str(len(genes)), named + more])
    return Table(["module", "genes", "those with most edges"], rows, "Leiden, direction aside.")
