"""Nodes of batch correction: batches, head, baselines, scores, figures, report.

Each is thin; what it does stands in the file named after the thing.
"""

import logging
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.figure import Figure

from sc_mamba2.cells import read_labels
from sc_mamba2.model import Backbone
from sc_mamba2.reporting import class_figure
from sc_mamba2.tasks.batch_correction import evaluate, figures, report
from sc_mamba2.tasks.batch_correction.initial_embedding import new_model
from sc_mamba2.tasks.batch_correction.model import BatchCorrectionModel
from sc_mamba2.tasks.batch_correction.params import (
    BaselineParams,
    HeadParams,
    KeyParams,
    LossParams,
    OutputParams,
)
from sc_mamba2.tasks.batch_correction.predict import add_expression, integrate
from sc_mamba2.tasks.shared.batches import (
    BATCH,
    read_batches,
    read_known_batches,
)
from sc_mamba2.tasks.shared.integration_baselines import baseline_embeddings
from sc_mamba2.tasks.shared.parameters import flat_parameters
from sc_mamba2.tasks.shared.params import IngestionParams, TokenizationParams
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer
from sc_mamba2.tokens import TokenizedCells, Tokenizer
from sc_mamba2.training import ComputeOptions

LABEL = "label"
LOG = logging.getLogger(__name__)
FEWEST_FOR_BASELINES = 3


def take_batches(valid_cells: AnnData, keys: KeyParams) -> tuple[AnnData, pd.DataFrame]:
    """Keep of the cells' table the batch alone, and the labels, if any, apart from them."""
    return _with_batches(valid_cells, read_batches(valid_cells.obs, keys.batch_key), keys)


def take_known_batches(
    valid_cells: AnnData, model: BatchCorrectionModel, keys: KeyParams
) -> tuple[AnnData, pd.DataFrame]:
    """Do as `take_batches`, for cells of batches that a trained model knows, under its own key."""
    batches = read_known_batches(valid_cells.obs, model.batch_key, model.batches)
    return _with_batches(valid_cells, batches, keys)


def _with_batches(
    valid_cells: AnnData, batches: pd.Series, keys: KeyParams
) -> tuple[AnnData, pd.DataFrame]:
    truth = pd.DataFrame({LABEL: pd.Series(dtype=str)})
    if keys.label_key is not None:
        truth = read_labels(valid_cells.obs, keys.label_key).dropna().to_frame(LABEL)
    cells = valid_cells.copy()
    cells.obs = batches.to_frame(BATCH)
    return cells, truth


def fit_tokenizer_within_batches(cells: AnnData, params: TokenizationParams) -> Tokenizer:
    """Choose the genes that vary within the batches, and make the tokenizer."""
    return fit_tokenizer(cells, cells, params, batch_key=BATCH)


def split_validation(
    tokens: TokenizedCells, keys: KeyParams, compute: ComputeOptions
) -> tuple[TokenizedCells, TokenizedCells]:
    """Split the cells of every batch: those that are learnt from, and those that choose the epoch."""
    generator = np.random.default_rng(compute.seed)
    chosen = np.zeros(len(tokens), dtype=bool)
    for _, members in sorted(tokens.obs.groupby(BATCH, observed=True).indices.items()):
        size = max(2, round(keys.validation_share * len(members)))
        chosen[generator.permutation(members)[:size]] = True
    return tokens.take(~chosen), tokens.take(chosen)


def attach_head(
    backbone: Backbone,
    tokenizer: Tokenizer,
    training_tokens: TokenizedCells,
    head: HeadParams,
    objective: LossParams,
    keys: KeyParams,
    compute: ComputeOptions,
) -> BatchCorrectionModel:
    """Put an untrained head for the cells' batches on the backbone."""
    return new_model(
        backbone, tokenizer, training_tokens, head, objective, keys.batch_key, compute.seed
    )


def read_tokenizer(model: BatchCorrectionModel) -> Tokenizer:
    """Return the tokenizer that a trained model carries."""
    return model.tokenizer


def run_baselines(
    cells: AnnData, params: BaselineParams, compute: ComputeOptions
) -> dict[str, np.ndarray]:
    """Embed the cells by the simple methods; nothing where there are too few."""
    if cells.n_obs < FEWEST_FOR_BASELINES:
        return {}
    return baseline_embeddings(
        cells,
        cells.obs[BATCH],
        genes=params.genes,
        components=params.components,
        within_batches=params.within_batches,
        seed=compute.seed,
    )


def score(
    outputs: dict[str, np.ndarray],
    cells: AnnData,
    baselines: dict[str, np.ndarray],
    truth: pd.DataFrame,
    model: BatchCorrectionModel,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
    compute: ComputeOptions,
    ablations: dict[str, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Score the model beside its baselines and ablations; the contents of ``metrics.json``."""
    batches = cells.obs[BATCH]

    def scored(embeddings: dict[str, np.ndarray]) -> dict[str, evaluate.Scores]:
        before = baselines.get("pca")
        return evaluate.score_all(embeddings, truth, batches, before, compute.seed)

    data = evaluate.describe_data(batches, truth, {"reference": validation_report})
    for doubt in data["doubts"]:
        LOG.warning("%s (%s)", doubt["remark"], doubt["rule"])
    return {
        "model": scored({"model": outputs["embedding"]})["model"],
        "baselines": scored(baselines),
        "ablations": scored(ablations or {}),
        "data": data | {"genes_used": len(model.tokenizer.vocabulary.gene_rows)},
        "run": run_info | {"checkpoint_sha256": model.sha256()},
    }


def write_integrated(
    raw_cells: AnnData,
    cells: AnnData,
    outputs: dict[str, np.ndarray],
    model: BatchCorrectionModel,
    validation_report: dict[str, Any],
    run_info: dict[str, Any],
    params: OutputParams,
    ingestion: IngestionParams,
) -> AnnData:
    """Write the embedding, the expression if asked for, and facts into a copy of the user's cells."""
    facts = {name: str(run_info[name]) for name in ("version", "command", "seed", "run_id")} | {
        "checkpoint_sha256": model.sha256(),
        "vocabulary_sha256": model.tokenizer.vocabulary.sha256,
        "expression": validation_report["expression"]["origin"],
        "genes_matched": validation_report["genes"]["matched"],
        "batch_key": model.batch_key,
        "batches": np.asarray(model.batches, dtype=object),
    }
    written = integrate(raw_cells, outputs["embedding"], list(cells.obs_names), facts)
    return add_expression(written, model, ingestion.gene_table) if params.expression else written


def draw_figures(
    outputs: dict[str, np.ndarray],
    cells: AnnData,
    baselines: dict[str, np.ndarray],
    truth: pd.DataFrame,
    compute: ComputeOptions,
    history: pd.DataFrame | None = None,
) -> dict[str, Figure]:
    """Draw the cells before and after by batch, by type where there are types, and the training."""
    after = outputs["embedding"]
    before = baselines.get("pca", after)
    places = figures.before_and_after(before, after, cells.obs_names, compute.seed)
    drawn = {"by_batch": class_figure(places, cells.obs[BATCH])}
    if len(truth):
        drawn["by_type"] = class_figure(places, truth[LABEL])
    if history is not None:
        drawn["training"] = figures.training_figure(history)
    return drawn


def write_report(
    metrics: dict[str, Any], figures: dict[str, bytes], parameters: dict[str, Any]
) -> str:
    """Write the one-file HTML report."""
    groups = ("ingestion", "validation", "tokenization", "batch_correction", "compute")
    return report.correction_report(metrics, figures, flat_parameters(parameters, groups))
