"""Report of multi-omics: the value of joint embeddings, and of imputation from other modalities."""

from typing import Any

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
from sc_mamba2.tasks.multiomics.baselines import Comparison, Outputs
from sc_mamba2.tasks.multiomics.cells import PART
from sc_mamba2.tasks.multiomics.figures import PICTURES, what_to_draw
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.shared.parameters import flat_parameters
from sc_mamba2.tokens import TokenizedCells
from sc_mamba2.training import ComputeOptions

GROUPS = ("ingestion", "validation", "tokenization", "multiomics", "compute")

CAPTION = (
    "Scored on the same cells. avg bio = mean of nmi, ari, asw label (types kept), higher is better; pearson: "
    "mean correlation of a modality's features predicted from the others alone, higher is better; rmse: its "
    "error, lower is better; foscttm: share of cells nearer than the cell itself, lower is better, 0.5 by "
    "chance; kept: share of the neighbours in one modality alone that are neighbours here too, higher is "
    "better, without labels. The row with the best avg bio, or else the best correlation, is marked."
)
READ = "Genes by Ensembl id, then symbol; proteins by name; peaks by coordinates."
WRITTEN = {
    'obsm["X_scm_joint"]': "the embedding of the cell from all its modalities",
    'obsm["X_scm_rna"], …': "the same from one modality alone; NaN where the cell lacks it",
    'obsm["scm_imputed_protein"], …': "features predicted from the other modalities alone: CLR of proteins, "
    "TF-IDF of peaks",
    'mod[…].var["scm_imputed_error"]': "root mean square error of these predictions, on validation cells",
    'obs["scm_held_out"]': "cells that were not used in training",
    'uns["scm"]': "version, checkpoint, source of the expression, command",
}


def report(
    metrics: dict[str, Any],
    outputs: Outputs,
    tokens: TokenizedCells,
    truth: pd.DataFrame,
    model: MultiomicsModel,
    parameters: dict[str, Any],
    compute: ComputeOptions,
    comparison: Comparison | None = None,
    history: pd.DataFrame | None = None,
) -> tuple[dict[str, bytes], str]:
    """Draw the figures and write the report; the last two are given after a training."""
    others = comparison or Comparison()
    drawn = what_to_draw(outputs, tokens, truth, model, others, compute.seed)
    figures = draw_pictures(PICTURES, history=history, **drawn)
    columns = {"type": drawn["types"], "batch": drawn["batches"], "part": tokens.obs[PART]}
    available = {name: column for name, column in columns.items() if column is not None}
    static = ("by_type", "by_batch", "by_part")
    cell_map = CellMap("Cells by UMAP", drawn["places"], available, static)
    return figures, joint_report(metrics, figures, flat_parameters(parameters, GROUPS), cell_map)


def joint_report(
    metrics: dict[str, Any],
    figures: dict[str, bytes],
    parameters: dict[str, Any],
    cell_map: CellMap | None = None,
) -> str:
    """Return the report as one HTML page; `figures` are PNG bytes, `parameters` flat, both by name."""
    data, run = metrics["data"], metrics["run"]
    columns = list(
        dict.fromkeys(n for scores in scores_by_method(metrics).values() for n in scores)
    )
    best_by = next((name for name, _ in _headline_scores(metrics["model"])), None)
    table = score_table(scores_by_method(metrics), columns, CAPTION, best_by)
    sections = [
        Section("How well it went", verdict(metrics), [table]),
        pictures_section(figures, PICTURES, cell_map),
        read_section(data["reference"], _read_rows(data), caption=READ),
        written_section("key of joint.h5mu", WRITTEN),
    ]
    return task_report("Multi-omics", metrics.get("summary", ()), sections, parameters, run)


def verdict(metrics: dict[str, Any]) -> list[str]:
    """Summarise which method won, and what the parts of the model contribute."""
    words = [f"Scores are on {metrics['data']['scored_cells']:,} cells not used for fitting."]
    if not metrics["baselines"]:
        words = [
            "Nothing was trained here; if the checkpoint was trained on these cells, scores are too high."
        ]
    elif metrics["data"]["parts"].get("held_out", 0) < metrics["data"]["scored_cells"]:
        words = [
            "Too few cells were held out: scores include cells that were used to choose the epoch."
        ]
    words += baseline_sentences(metrics)
    for score, what in _headline_scores(metrics["model"]):
        words += ablation_sentences(score, what, metrics)
    return words


def _headline_scores(model: dict[str, float]) -> list[tuple[str, str]]:
    """Return the scores in the verdict, with their descriptions."""
    named = [("avg_bio", "types kept (AvgBIO)")] if "avg_bio" in model else []
    return named + [
        (name, f"{name.removeprefix('pearson_')} predicted from the others (correlation)")
        for name in model
        if name.startswith("pearson_")
    ]


def _read_rows(data: dict[str, Any]) -> list[tuple[str, Any]]:
    read = data["reference"]
    rows: list[tuple[str, Any]] = [
        *((f"cells with {kind}", count) for kind, count in data["modalities"].items()),
        *((f"batch {name}", f"{count:,} cells") for name, count in data["batches"].items()),
        *((f"cells: {name}", count) for name, count in data["parts"].items()),
        *((f"features used: {kind}", count) for kind, count in data["features_used"].items()),
    ]
    if "protein" in read:
        rows.append(("proteins with a known gene", read["protein"]["with_gene"]))
    if "atac" in read:
        rows.append(
            ("peaks read, features", f"{read['atac']['total']:,}, {read['atac']['kept']:,}")
        )
    return rows
