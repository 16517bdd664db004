"""Figures of multi-omics: cells by each embedding, imputed against measured features, training."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sc_mamba2.metrics.prediction import pearson_of_features
from sc_mamba2.reporting import (
    Picture,
    class_figure,
    in_style,
    label,
    lay_out,
    losses_apart,
    new_figure,
)
from sc_mamba2.tasks.multiomics.baselines import Comparison, Outputs
from sc_mamba2.tasks.multiomics.cells import LABEL, PART
from sc_mamba2.tasks.multiomics.evaluate import imputed_rows
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.tokens import modality_values
from sc_mamba2.tasks.shared.batches import BATCH
from sc_mamba2.tokens import TokenizedCells

SHOWN = 6
DRAWN = ("protein", "atac")  # the modalities whose imputation is drawn


def layouts(
    joint_NE: np.ndarray, baselines: Outputs, cells: pd.Index, seed: int
) -> dict[str, pd.DataFrame]:
    """Return UMAP layouts of the joint and the baseline embeddings, by title."""
    baselines_shown = {"RNA alone": "pca_rna", "all": "concatenated_pca"}
    embeddings = {
        f"principal components, {title}": baselines[name]
        for title, name in baselines_shown.items()
        if name in baselines
    } | {"joint embedding": joint_NE}
    return {title: lay_out(pd.DataFrame(e, index=cells), seed) for title, e in embeddings.items()}


def what_to_draw(
    outputs: Outputs,
    tokens: TokenizedCells,
    truth: pd.DataFrame,
    model: MultiomicsModel,
    comparison: Comparison,
    seed: int,
) -> dict[str, Any]:
    """Return the arguments of the figures by name."""
    design, vocabulary = tokens.obs, model.tokenizer.vocabulary
    types = truth[LABEL] if len(truth) else None
    batches = design[BATCH] if design[BATCH].nunique() > 1 else None
    drawn: dict[str, Any] = {
        "places": layouts(outputs["joint"], comparison.embeddings, design.index, seed),
        "types": types,
        "batches": batches,
        "parts": design[PART] if types is None and batches is None else None,
        "imputed": {},
        "correlations": {},
    }
    values = modality_values(tokens, vocabulary)
    symbols = np.asarray(vocabulary.symbols, dtype=object)
    for kind in DRAWN:
        imputed_NP = outputs.get(f"imputed_{kind}")
        if imputed_NP is None or kind not in values:
            continue
        rows = imputed_rows(imputed_NP, kind, design)
        if len(rows) < 3:
            continue
        actual_NP = values[kind][rows].toarray()
        names = list(symbols[model.rows_of(kind).numpy()])
        drawn["imputed"][kind] = (imputed_NP[rows], actual_NP, names, kind)
        if kind in comparison.ridge:
            both = (imputed_NP[rows], comparison.ridge[kind][rows])
            drawn["correlations"][kind] = (*(pearson_of_features(p, actual_NP) for p in both), kind)
    return drawn


@in_style
def imputed_figure(
    imputed_NP: np.ndarray, actual_NP: np.ndarray, names: list[str], kind: str
) -> Figure:
    """Draw imputed against measured values of the six most variable features."""
    shown = np.argsort(-actual_NP.var(axis=0))[: min(SHOWN, len(names))]
    correlation_P = pearson_of_features(imputed_NP[:, shown], actual_NP[:, shown])
    figure, axes = new_figure(columns=len(shown), width=2.4, height=2.8)
    for axis, place, correlation in zip(axes, shown, correlation_P, strict=True):
        axis.scatter(actual_NP[:, place], imputed_NP[:, place], s=5, alpha=0.6, color="tab:blue")
        low, high = actual_NP[:, place].min(), actual_NP[:, place].max()
        axis.plot([low, high], [low, high], color="grey", lw=0.8, ls="--")
        axis.set_title(f"{label(names[place], 22)}\nr = {correlation:.2f}")
        axis.set_xlabel("measured")
    figure.supylabel(f"{kind} predicted from the others", fontsize=9)
    return figure


@in_style
def against_ridge_figure(own_P: np.ndarray, ridge_P: np.ndarray, kind: str) -> Figure:
    """Draw each feature's correlation by the model against that by ridge."""
    figure, (axis,) = new_figure(width=4.2, height=4.0)
    axis.scatter(ridge_P, own_P, s=12, color="tab:blue")
    low = float(min(np.nanmin(ridge_P), np.nanmin(own_P), 0.0))
    axis.plot([low, 1], [low, 1], color="grey", lw=0.8, ls="--")
    better = int((own_P > ridge_P).sum())
    axis.set_title(f"{kind}: {better} of {len(own_P)} features above ridge")
    axis.set_xlabel("correlation by ridge")
    axis.set_ylabel("correlation by the model")
    return figure


def training_figure(history: pd.DataFrame) -> Figure | None:
    """Draw both losses over the epochs, if any."""
    titles = (
        "training: reconstruction + adversary",
        "validation: from all modalities, and from each alone",
    )
    return losses_apart(history, titles) if len(history) else None


def _pictures_of(kind: str) -> tuple[Picture, Picture]:
    def draw_imputed(imputed: dict[str, Any]) -> Figure | None:
        return imputed_figure(*imputed[kind]) if kind in imputed else None

    def draw_correlations(correlations: dict[str, Any]) -> Figure | None:
        return against_ridge_figure(*correlations[kind]) if kind in correlations else None

    return (
        Picture(
            f"told_{kind}",
            f"{kind}: predicted from the other modalities against measured",
            draw_imputed,
        ),
        Picture(
            f"ridge_{kind}",
            f"{kind}: correlation of each feature, the model against ridge",
            draw_correlations,
        ),
    )


PICTURES = (
    Picture(
        "by_type",
        "Cells by type (UMAP): RNA alone, principal components of all, the joint embedding",
        lambda places, types: class_figure(places, classes=types),
    ),
    Picture(
        "by_batch",
        "Cells by batch (UMAP)",
        lambda places, batches: class_figure(places, classes=batches),
    ),
    Picture(
        "by_part",
        "Cells by part: training, validation, held out (UMAP)",
        lambda places, parts: class_figure(places, classes=parts),
    ),
    *(picture for kind in DRAWN for picture in _pictures_of(kind)),
    Picture("training", "Losses over the epochs", training_figure),
)
