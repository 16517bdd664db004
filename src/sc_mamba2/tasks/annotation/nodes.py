"""Nodes of annotation: split, head, calls, baselines, ablations, scores, figures, report.

Each is thin; what it does stands in the file named after the thing.
"""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.figure import Figure

from sc_mamba2.cells import keys, label_text, read_labels
from sc_mamba2.methods.majority_vote import majority_vote, over_cluster
from sc_mamba2.methods.temperature import fit_calibration
from sc_mamba2.model import Backbone
from sc_mamba2.reporting import lay_out
from sc_mamba2.tasks.annotation import evaluate, figures, report
from sc_mamba2.tasks.annotation.baselines import baseline_calls
from sc_mamba2.tasks.annotation.model import LABEL, AnnotationModel
from sc_mamba2.tasks.annotation.params import (
    BaselineParams,
    CallParams,
    HeadParams,
    LabelParams,
)
from sc_mamba2.tasks.annotation.predict import annotate, call_types
from sc_mamba2.tasks.annotation.rollup import Rollup, read_rollup
from sc_mamba2.tasks.annotation.split import labelled, stratified_split
from sc_mamba2.tasks.shared.backbone import predict
from sc_mamba2.tasks.shared.parameters import flat_parameters
from sc_mamba2.tasks.shared.params import PredictParams
from sc_mamba2.tokens import TokenizedCells, Tokenizer
from sc_mamba2.training import ComputeOptions, seed_everything


def hold_out(
    reference_cells: AnnData, params: LabelParams, compute: ComputeOptions
) -> tuple[AnnData, AnnData, pd.DataFrame]:
    """Split a labelled reference into training cells and query cells, and keep the truth apart."""
    cells = labelled(reference_cells, params.key)
    first, second = stratified_split(cells.obs[LABEL].to_numpy(), params.test_share, compute.seed)
    query = cells[second].copy()
    truth = query.obs[[LABEL]].copy()
    query.obs = query.obs[[]]
    return cells[first].copy(), query, truth


def take_query(
    reference_cells: AnnData, query_cells: AnnData, params: LabelParams
) -> tuple[AnnData, AnnData, pd.DataFrame]:
    """Train on all labelled cells of the reference; the truth is the query's, where it has one."""
    truth = _truth(query_cells, params.key, params.query_key)
    query = query_cells.copy()
    query.obs = query.obs[[]]
    return labelled(reference_cells, params.key), query, truth


def read_truth(query_cells: AnnData, model: AnnotationModel, params: LabelParams) -> pd.DataFrame:
    """Return the query's own labels under the key that the model was trained with, or `query_key`."""
    return _truth(query_cells, model.label_key, params.query_key)


def _truth(query_cells: AnnData, reference_key: str, query_key: str | None) -> pd.DataFrame:
    """Return the column ``label``; no rows where the query lacks the key, unless it was named."""
    key = query_key or reference_key
    if key in query_cells.obs:
        return label_text(query_cells.obs[key]).to_frame(LABEL)
    if query_key is not None:
        read_labels(query_cells.obs, query_key)  # refuses, with the nearest column
    return pd.DataFrame({LABEL: pd.Series(dtype=str)})


def split_validation(
    labelled_tokens: TokenizedCells, params: LabelParams, compute: ComputeOptions
) -> tuple[TokenizedCells, TokenizedCells]:
    """Split the training cells: those that are learnt from, and those that choose the epoch."""
    labels = labelled_tokens.obs[LABEL].to_numpy()
    first, second = stratified_split(labels, params.validation_share, compute.seed)
    return labelled_tokens.take(first), labelled_tokens.take(second)


def attach_head(
    backbone: Backbone,
    tokenizer: Tokenizer,
    training_tokens: TokenizedCells,
    params: HeadParams,
    labels: LabelParams,
    compute: ComputeOptions,
) -> AnnotationModel:
    """Put an untrained classifier for the training cells' types on the backbone."""
    seed_everything(compute.seed)
    rollup = _rollup(labels, tuple(sorted(training_tokens.obs[LABEL].unique())), None)
    counts = training_tokens.obs[LABEL].value_counts().sort_index()
    weights = (1 / counts) ** params.class_weight_power
    weights /= (weights * counts).sum() / counts.sum()
    classes, class_weights = tuple(counts.index), tuple(map(float, weights))
    return AnnotationModel(backbone, tokenizer, classes, class_weights, params, labels.key, rollup)


def _rollup(params: LabelParams, labels: tuple[str, ...], of_model: Rollup | None) -> Rollup | None:
    """Return the mapping that a person names, else the one that the model was trained with."""
    return of_model if params.rollup is None else read_rollup(params.rollup, labels)


def calibrate(
    fitted_model: AnnotationModel,
    validation_tokens: TokenizedCells,
    params: CallParams,
    prediction: PredictParams,
    compute: ComputeOptions,
) -> AnnotationModel:
    """Fit the temperature of the model's probabilities to the validation cells; see `calibration`."""
    # Where the head fits itself, nothing is kept apart from what it learns from.
    if params.calibrate and not fitted_model.fits_itself:
        outputs = predict(fitted_model, validation_tokens, prediction, compute)
        classes = fitted_model.targets(validation_tokens.obs)["class_B"].numpy()
        fitted_model.calibration = fit_calibration(outputs["probability"], classes)
    return fitted_model


def call_cells(
    outputs: dict[str, np.ndarray],
    model: AnnotationModel,
    query_tokens: TokenizedCells,
    params: CallParams,
    labels: LabelParams,
    compute: ComputeOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Turn the model's outputs into a table of calls and a table of the embedding."""
    cells = query_tokens.obs.index
    embedding = pd.DataFrame(outputs["embedding"], index=cells)
    embedding.columns = [f"scm_{column}" for column in embedding]
    rollup = _rollup(labels, model.labels, model.rollup)
    calls = call_types(outputs, model.labels, cells, params, rollup)
    if params.majority_vote:
        clusters = over_cluster(embedding, params.majority_resolution, compute.seed)
        voted = majority_vote(calls[keys.CELL_TYPE], clusters, params.majority_share)
        calls.insert(1, keys.VOTED_TYPE, voted)
    return calls, embedding


def run_baselines(
    training_cells: AnnData,
    query_cells: AnnData,
    tokenizer: Tokenizer,
    params: BaselineParams,
    compute: ComputeOptions,
) -> pd.DataFrame:
    """Predict the query by the simple methods; see `baselines`."""
    vocabulary = tokenizer.vocabulary
    genes = [vocabulary.ids[row] for row in vocabulary.gene_rows]
    return baseline_calls(training_cells, query_cells, genes, params, compute.seed)


def read_tokenizer(model: AnnotationModel) -> Tokenizer:
    """Return the tokenizer that a trained model carries."""
    return model.tokenizer


def score(
    calls: pd.DataFrame,
    truth: pd.DataFrame,
    model: AnnotationModel,
    reports: dict[str, dict[str, Any]],
    run_info: dict[str, Any],
    label_params: LabelParams,
    baselines: pd.DataFrame | None = None,
    ablations: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Score the model beside its baselines and ablations; the contents of ``metrics.json``."""
    labels = truth[LABEL]
    rollup = _rollup(label_params, model.labels, model.rollup)
    facts = {"calibration": model.calibration.model_dump(mode="json")}
    return {
        "model": evaluate.score_model(calls, labels, model.labels),
        "views": evaluate.score_views(calls, labels, model.labels, rollup),
        "baselines": {} if baselines is None else evaluate.score_others(baselines, labels),
        "ablations": {} if ablations is None else evaluate.score_others(ablations, labels),
        "data": evaluate.describe_data(calls, labels, model.labels, reports) | facts,
        "run": run_info | {"checkpoint_sha256": model.sha256()},
    }


def gather_reports(
    reference: dict[str, Any] | None = None, query: dict[str, Any] | None = None
) -> dict[str, dict[str, Any]]:
    """Put the validation reports of a run together by role."""
    roles = {"reference": reference, "query": query}
    return {role: report for role, report in roles.items() if report is not None}


def write_annotated(
    raw_query: AnnData,
    calls: pd.DataFrame,
    embedding: pd.DataFrame,
    model: AnnotationModel,
    query_report: dict[str, Any],
    run_info: dict[str, Any],
) -> AnnData:
    """Write calls, probabilities, embedding and facts into a copy of the user's cells."""
    facts = {name: str(run_info[name]) for name in ("version", "command", "seed", "run_id")} | {
        "checkpoint_sha256": model.sha256(),
        "vocabulary_sha256": model.tokenizer.vocabulary.sha256,
        "expression": query_report["expression"]["origin"],
        "genes_matched": query_report["genes"]["matched"],
    }
    return annotate(raw_query, calls, embedding, facts)


def draw_figures(
    calls: pd.DataFrame,
    embedding: pd.DataFrame,
    truth: pd.DataFrame,
    compute: ComputeOptions,
    history: pd.DataFrame | None = None,
) -> dict[str, Figure]:
    """Draw the UMAP; confusion and calibration with a truth, the training where there was one."""
    labels = truth[LABEL]
    places = lay_out(embedding, compute.seed)
    drawn = {"umap": figures.umap_figure(places, calls, labels)}
    if len(labels):
        drawn["confusion"] = figures.confusion_figure(calls, labels)
        drawn["calibration"] = figures.calibration_figure(calls, labels)
    if history is not None and len(history):
        drawn["training"] = figures.training_figure(history)
    return drawn


def write_report(
    metrics: dict[str, Any],
    figures: dict[str, bytes],
    reports: dict[str, dict[str, Any]],
    parameters: dict[str, Any],
) -> str:
    """Write the one-file HTML report."""
    groups = ("ingestion", "validation", "tokenization", "annotation", "compute")
    flat = flat_parameters(parameters, groups)
    return report.annotation_report(metrics, figures, reports, flat)
