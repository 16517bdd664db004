"""Nodes of multi-omics that come after the model: baselines, scores, what is written, figures, report.

Each is thin; what it does stands in the file named after the thing.
"""

from typing import Any

import mudata
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.figure import Figure
from scipy import sparse

from sc_mamba2.metrics.prediction import pearson_of_features
from sc_mamba2.reporting import class_figure
from sc_mamba2.tasks.multiomics import baselines as simple, evaluate, figures, report
from sc_mamba2.tasks.multiomics.cells import JointCells
from sc_mamba2.tasks.multiomics.design import LABEL, PART, has, scored_cells
from sc_mamba2.tasks.multiomics.model import MultiomicsModel
from sc_mamba2.tasks.multiomics.params import (
    BaselineParams,
    EvaluationParams,
    OutputParams,
    SourceParams,
)
from sc_mamba2.tasks.multiomics.predict import as_mudata, write_results
from sc_mamba2.tasks.multiomics.scvi_baseline import totalvi_embedding
from sc_mamba2.tasks.multiomics.shuffling import shuffle_modality
from sc_mamba2.tasks.shared.backbone import predict
from sc_mamba2.tasks.shared.batches import BATCH
from sc_mamba2.tasks.shared.parameters import flat_parameters
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.tokens import KINDS, TokenizedCells, Tokenizer, kinds_of
from sc_mamba2.training import ComputeOptions

Raw = dict[str, AnnData]
Outputs = dict[str, np.ndarray]
Values = dict[str, sparse.csr_matrix]


def run_baselines(
    cells: JointCells,
    tokens: TokenizedCells,
    tokenizer: Tokenizer,
    params: BaselineParams,
    compute: ComputeOptions,
) -> tuple[Outputs, Outputs, Values]:
    """Embed the cells and tell the modalities by simple methods; the values that all are scored by."""
    values = simple.modality_values(tokens, tokenizer)
    embeddings = simple.baseline_embeddings(values, tokens.obs, params, compute.seed)
    ids = np.asarray(tokenizer.vocabulary.ids, dtype=object)
    genes = list(ids[kinds_of(tokenizer.vocabulary) == KINDS.index("rna")])
    totalvi = totalvi_embedding(cells, genes, tokens.obs, compute.seed)
    if totalvi is not None:
        embeddings["totalvi"] = totalvi
    return embeddings, simple.told_by_ridge(values, tokens.obs, params, compute.seed), values


def take_values(tokens: TokenizedCells, tokenizer: Tokenizer) -> tuple[Outputs, Outputs, Values]:
    """Return the values that a trained model is scored by; there are no baselines without training."""
    return {}, {}, simple.modality_values(tokens, tokenizer)


def shuffle(
    model: MultiomicsModel,
    tokens: TokenizedCells,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> dict[str, Outputs]:
    """Tell cells whose other modalities are those of other cells; by modality."""
    kind_V = kinds_of(model.tokenizer.vocabulary)
    return {
        f"shuffled_{kind}": predict(
            model, shuffle_modality(tokens, kind, kind_V, compute.seed), prediction, compute
        )
        for kind in model.widths
        if kind != KINDS[1]
    }


def score(
    outputs: Outputs,
    tokens: TokenizedCells,
    truth: pd.DataFrame,
    baselines: Outputs,
    ridge: Outputs,
    values: Values,
    model: MultiomicsModel,
    report: dict[str, Any],
    run_info: dict[str, Any],
    params: EvaluationParams,
    compute: ComputeOptions,
    ablations: dict[str, Outputs] | None = None,
    shuffled: dict[str, Outputs] | None = None,
) -> dict[str, Any]:
    """Score the model beside its baselines and ablations; the contents of ``metrics.json``."""
    design, fewest, seed = tokens.obs, params.fewest_cells, compute.seed

    def embedded(own: np.ndarray) -> dict[str, float]:
        return evaluate.embedding_scores(own, design, truth, fewest, seed)

    def told(own: Outputs) -> dict[str, float]:
        return evaluate.output_scores(own, values, design, truth, fewest, seed)

    beside = {name: embedded(own) for name, own in baselines.items()}
    if ridge:
        beside["ridge"] = evaluate.imputation_scores(ridge, values, design)
    parts = {name: told(own) for name, own in (ablations or {}).items()}
    alone = {
        f"{name.removeprefix('embedding_')}_view": embedded(own)
        for name, own in outputs.items()
        if name.startswith("embedding_")
    }
    moved = {name: embedded(own["joint"]) for name, own in (shuffled or {}).items()}
    data = evaluate.describe_data(design, truth, report, fewest)
    used = {kind: len(model.rows_of(kind)) for kind in model.widths}
    return {
        "model": told(outputs),
        "baselines": beside,
        "ablations": {**parts, **alone, **moved},
        "data": data | {"features_used": used},
        "run": run_info | {"checkpoint_sha256": model.sha256()},
    }


def write_joint(
    raw: Raw,
    source: SourceParams,
    tokens: TokenizedCells,
    outputs: Outputs,
    model: MultiomicsModel,
    report: dict[str, Any],
    run_info: dict[str, Any],
    params: OutputParams,
) -> mudata.MuData:
    """Write embeddings, imputed values and facts beside the user's modalities."""
    facts = {name: str(run_info[name]) for name in ("version", "command", "seed", "run_id")} | {
        "checkpoint_sha256": model.sha256(),
        "vocabulary_sha256": model.tokenizer.vocabulary.sha256,
        "expression": report["expression"]["origin"],
        "genes_matched": report["genes"]["matched"],
        "modalities": np.asarray(list(model.widths), dtype=object),
        "batch_key": model.batch_key or "",
    }
    ids = np.asarray(model.tokenizer.vocabulary.ids, dtype=object)
    rows = {kind: model.rows_of(kind).numpy() for kind in model.widths}
    names = {
        kind: [str(ident).partition(":")[2] or str(ident) for ident in ids[own]]
        for kind, own in rows.items()
    }
    errors = {kind: model.error_V[own].numpy() for kind, own in rows.items()}
    return write_results(
        as_mudata(raw, source.inputs),
        tokens.obs.index,
        outputs,
        names,
        errors,
        tokens.obs,
        facts,
        params.most_features,
    )


def draw_figures(
    outputs: Outputs,
    tokens: TokenizedCells,
    truth: pd.DataFrame,
    baselines: Outputs,
    ridge: Outputs,
    values: Values,
    model: MultiomicsModel,
    compute: ComputeOptions,
    history: pd.DataFrame | None = None,
) -> dict[str, Figure]:
    """Draw the cells by type and batch, what is told of each modality, and the training."""
    design = tokens.obs
    wanted = {"RNA alone": baselines.get("pca_rna"), "all": baselines.get("concatenated_pca")}
    embeddings = {
        f"principal components, {name}": own for name, own in wanted.items() if own is not None
    }
    places = figures.layouts(
        embeddings | {"joint embedding": outputs["joint"]}, design.index, compute.seed
    )
    drawn = {"by_type": class_figure(places, truth[LABEL])} if len(truth) else {}
    if design[BATCH].nunique() > 1:
        drawn["by_batch"] = class_figure(places, design[BATCH])
    if not drawn:
        drawn["by_part"] = class_figure(places, design[PART])
    scored = scored_cells(design)
    symbols = np.asarray(model.tokenizer.vocabulary.symbols, dtype=object)
    for kind in model.widths:
        told = outputs.get(f"imputed_{kind}")
        if told is None or kind == KINDS[1] or kind not in values:
            continue
        rows = np.flatnonzero(
            scored & design[has(kind)].to_numpy(bool) & np.isfinite(told).all(axis=1)
        )
        if len(rows) < 3:
            continue
        actual = values[kind][rows].toarray()
        names = list(symbols[model.rows_of(kind).numpy()])
        drawn[f"told_{kind}"] = figures.told_figure(told[rows], actual, names, kind)
        if kind in ridge:
            own, other = (pearson_of_features(t[rows], actual) for t in (told, ridge[kind]))
            drawn[f"ridge_{kind}"] = figures.against_ridge_figure(own, other, kind)
    if history is not None and len(history):
        drawn["training"] = figures.training_figure(history)
    return drawn


def write_report(
    metrics: dict[str, Any], figures: dict[str, bytes], parameters: dict[str, Any]
) -> str:
    """Write the one-file HTML report."""
    groups = ("ingestion", "validation", "tokenization", "multiomics", "compute")
    return report.joint_report(metrics, figures, flat_parameters(parameters, groups))
