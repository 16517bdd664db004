"""The report of an embedding: what was read, how well it keeps types together, and beside what."""

from typing import Any

from sc_mamba2.reporting import (
    Section,
    Table,
    comparison,
    pictures_section,
    read_section,
    score_table,
    scores_by_method,
    task_report,
)

PICTURES = {
    "umap": "Cells by type, batch and genes read (UMAP of the embedding)",
    "neighbours": "Who the nearest neighbours of each type and of each batch are",
}


def embedding_report(
    metrics: dict[str, Any], figures: dict[str, bytes], parameters: dict[str, Any]
) -> str:
    """Write the report as one HTML page.

    Parameters
    ----------
    metrics
        As in ``metrics.json``.
    figures
        PNG bytes by name.
    parameters
        Flat parameters by name.
    """
    data, run = metrics["data"], metrics["run"]
    lead = f"{data['cells']:,} cells, {data['width']} numbers a cell, nothing was trained."
    sections = [
        Section("How well it went", _verdict(metrics), _score_tables(metrics)),
        pictures_section(figures, PICTURES),
        read_section(
            data, [("genes read of a cell (median)", f"{data['genes_a_cell']['median']:.0f}")]
        ),
    ]
    return task_report("Embedding of cells", lead, sections, parameters, run)


def _score_tables(metrics: dict[str, Any]) -> list[Table]:
    if not metrics["model"]:
        return []
    caption = (
        f"{metrics['data']['scored_cells']:,} cells, evenly taken; every method on the same cells. "
        "avg bio and avg batch: types kept, batches mixed; higher is better. knn: votes of the nearest "
        "neighbours, cross-validated; of types higher is better, of batches lower is better mixed. "
        "transfer: types from the index, over all cells."
    )
    return [score_table(scores_by_method(metrics), list(metrics["model"]), caption)]


def _verdict(metrics: dict[str, Any]) -> list[str]:
    """Say in words who won, and what training the model was worth."""
    own = metrics["model"].get("knn_accuracy")
    if own is None:
        return ["No column of labels was named, so how well types stay together is not scored."]
    words = []
    for group, name, what in (
        ("baselines", "pca", "the principal components of variable genes"),
        ("baselines", "harmony", "Harmony on these"),
        ("ablations", "untrained", "the same model with random weights"),
    ):
        other = metrics[group].get(name, {}).get("knn_accuracy")
        if other is not None:
            words.append(f"The model's {own:.3f} {comparison(own, other)} {what} ({other:.3f}).")
    return words
