"""The report of batch correction: which methods keep types and mix batches best."""

from typing import Any

import numpy as np
import pandas as pd

from sc_mamba2.reporting import (
    CellMap,
    Section,
    ablation_sentences,
    baseline_sentences,
    draw_pictures,
    pictures_section,
    read_section,
    score_table,
    scores_by_method,
    task_report,
    written_section,
)
from sc_mamba2.tasks.batch_correction.candidates import NETWORK, Candidates
from sc_mamba2.tasks.batch_correction.figures import PICTURES, before_and_after
from sc_mamba2.tasks.batch_correction.fit import LABEL
from sc_mamba2.tasks.shared.batches import BATCH
from sc_mamba2.tasks.shared.parameters import flat_parameters
from sc_mamba2.training import ComputeOptions

GROUPS = ("ingestion", "validation", "tokenization", "batch_correction", "compute")

CAPTION = (
    "Same cells; higher is better. avg bio = mean of nmi, ari, asw label (types kept); avg batch = "
    "mean of asw batch, graph connectivity (batches mixed within types). batch mixing needs no "
    "types: it compares the batches of neighbours, 1 as expected by chance. Nor do clusters kept, "
    "clusters mixed and inner: they are avg bio, asw batch and 0.6 and 0.4 of these, computed with the "
    "clusters on which the candidates agree instead of types. 'model' is the written embedding; the "
    "row with the best avg bio is marked."
)
WRITTEN = {
    'obsm["X_scm_corrected"]': "the embedding of the cell with the batch removed",
    'obsm["X_scm_corrected_<candidate>"]': "with --keep-candidates: the embedding of each candidate",
    'layers["scm_corrected"]': "with --expression: expression with the batch removed",
    'uns["scm"]': "version, checkpoint, batches, source of the expression, command",
}


def report(
    outputs: dict[str, np.ndarray],
    candidates: Candidates,
    truth: pd.DataFrame,
    metrics: dict[str, Any],
    parameters: dict[str, Any],
    compute: ComputeOptions,
    history: pd.DataFrame | None = None,
) -> tuple[dict[str, bytes], str]:
    """Draw the figures, PNG by name, and write the one-file HTML report.

    Without a `history`, nothing was trained.
    """
    after = outputs["embedding"]
    before = candidates.embeddings.get("pca", after)
    places = before_and_after(before, after, truth.index, compute.seed)
    labels = truth[LABEL].dropna()
    history = None if history is None or history.empty else history
    shown = {"places": places, "batches": truth[BATCH], "labels": labels, "history": history}
    figures = draw_pictures(PICTURES, **shown)
    columns = {"batch": truth[BATCH]} | ({"type": labels} if len(labels) else {})
    cell_map = CellMap("Cells by UMAP", places, columns, ("by_batch", "by_type"))
    flat = flat_parameters(parameters, GROUPS)
    return figures, correction_report(metrics, figures, flat, cell_map)


def correction_report(
    metrics: dict[str, Any],
    figures: dict[str, bytes],
    parameters: dict[str, Any],
    cell_map: CellMap | None = None,
) -> str:
    """Write the HTML page from ``metrics.json``, PNG files by name and parameters by dotted name."""
    data, run = metrics["data"], metrics["run"]
    table = score_table(scores_by_method(metrics), list(metrics["model"]), CAPTION, "avg_bio")
    sections = [
        Section("How well it went", _verdict(metrics), [table]),
        pictures_section(figures, PICTURES, cell_map),
        read_section(data["reference"], _read_rows(data), data["doubts"]),
        written_section("key of integrated.h5ad", WRITTEN),
    ]
    return task_report("Batch correction", metrics.get("summary", ()), sections, parameters, run)


def _verdict(metrics: dict[str, Any]) -> list[str]:
    """Describe what was joined, which method won, and the contribution of the model's parts."""
    joined = _joined(metrics["data"].get("weights", {}))
    if "avg_bio" not in metrics["model"]:
        return [
            *joined,
            "No column of cell types was given, or it has too few, so whether types were kept cannot be "
            "scored. Mixing everything also mixes batches perfectly; look at the pictures.",
        ]
    words = joined + baseline_sentences(metrics)
    for score, what in (("avg_bio", "types kept (AvgBIO)"), ("asw_batch", "batches mixed (ASW)")):
        words += ablation_sentences(score, what, metrics)
    return words


def _joined(weights: dict[str, float]) -> list[str]:
    if not weights:
        return []
    order = sorted(weights, key=lambda name: -weights[name])
    shares = ", ".join(f"{name} {weights[name]:.0%}" for name in order)
    trained = "A trained model took part" if NETWORK in weights else "No trained model took part"
    return [
        f"Combined, weighted by their scores without labels: {shares}. {trained}; Harmony removed the "
        "batch effect that remained after combining."
    ]


def _read_rows(data: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        *((f"batch {name}", f"{count:,} cells") for name, count in data["batches"].items()),
        ("cells with a type, types", f"{data['labelled_cells']:,}, {data['labels']:,}"),
        ("genes the model uses", data["genes_used"]),
    ]
