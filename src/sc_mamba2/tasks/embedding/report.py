"""The report of an embedding: what was read, and how well it and the baselines keep types together."""

from typing import Any

import pandas as pd
from anndata import AnnData

from sc_mamba2.reporting import (
    CellMap,
    Section,
    Table,
    baseline_sentences,
    comparison,
    draw_pictures,
    pictures_section,
    read_section,
    score_table,
    scores_by_method,
    task_report,
)
from sc_mamba2.tasks.embedding.figures import PICTURES, values_to_draw
from sc_mamba2.tasks.embedding.params import EvaluationParams
from sc_mamba2.tasks.shared.parameters import flat_parameters
from sc_mamba2.training import ComputeOptions


def report(
    sample: AnnData,
    metrics: dict[str, Any],
    evaluation: EvaluationParams,
    parameters: dict[str, Any],
    compute: ComputeOptions,
    calls: pd.DataFrame | None = None,
) -> tuple[dict[str, bytes], str]:
    """Draw the figures, PNG by name, and write the one-file HTML report."""
    drawn = values_to_draw(sample, calls, evaluation.neighbours, compute.seed)
    figures = draw_pictures(PICTURES, **drawn)
    groups = ("ingestion", "validation", "embedding", "compute")
    cell_map = CellMap(
        "Cells by UMAP of the embedding",
        {"UMAP": drawn["places"]},
        drawn["classes"] | drawn["shades"],
        ("umap",),
    )
    return figures, embedding_report(
        metrics, figures, flat_parameters(parameters, groups), cell_map
    )


def embedding_report(
    metrics: dict[str, Any],
    figures: dict[str, bytes],
    parameters: dict[str, Any],
    cell_map: CellMap | None = None,
) -> str:
    """Write the HTML page from ``metrics.json``, PNG files by name and parameters by dotted name."""
    data, run = metrics["data"], metrics["run"]
    sections = [
        Section("How well it went", _verdict(metrics), _score_tables(metrics)),
        pictures_section(figures, PICTURES, cell_map),
        read_section(
            data, [("genes read of a cell (median)", f"{data['genes_a_cell']['median']:.0f}")]
        ),
    ]
    return task_report("Embedding of cells", metrics.get("summary", ()), sections, parameters, run)


def _score_tables(metrics: dict[str, Any]) -> list[Table]:
    if not metrics["model"]:
        return []
    caption = (
        f"{metrics['data']['scored_cells']:,} evenly sampled cells, the same for every method. "
        "avg bio and avg batch: types kept, batches mixed; higher is better. knn: votes of the nearest "
        "neighbours, cross-validated; for types higher is better, for batches lower means better mixed. "
        "transfer: types from the index, over all cells."
    )
    return [score_table(scores_by_method(metrics), list(metrics["model"]), caption)]


def _verdict(metrics: dict[str, Any]) -> list[str]:
    """Describe which method won, and what pretraining contributed."""
    own = metrics["model"].get("knn_accuracy")
    if own is None:
        return ["No column of labels was given, so how well types stay together is not scored."]
    words = baseline_sentences(metrics)
    other = metrics["ablations"].get("untrained", {}).get("knn_accuracy")
    if other is not None:
        words.append(
            f"The model's accuracy by neighbours' votes, {own:.3f}, {comparison(own, other)} that of the same "
            f"model with random weights ({other:.3f})."
        )
    return words
