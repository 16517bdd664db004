"""Nodes of the embedding: encode, sample, score, draw, report, write; index and mapping; genes.

Each is thin; what it does stands in the file named after the thing.
"""

from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.figure import Figure

from sc_mamba2.cells import CopiedCells, keys
from sc_mamba2.datasets.index import ReferenceIndex
from sc_mamba2.errors import UserError
from sc_mamba2.tasks.embedding import evaluate, figures, mapping, report
from sc_mamba2.tasks.embedding.blocks import EmbeddedBlocks
from sc_mamba2.tasks.embedding.encoder import Encoder, read_encoder
from sc_mamba2.tasks.embedding.params import (
    EmbeddingOptions,
    EvaluationParams,
    KeyParams,
    MappingParams,
)
from sc_mamba2.tasks.embedding.sample import SIMPLE
from sc_mamba2.tasks.shared.parameters import flat_parameters
from sc_mamba2.tasks.shared.params import ValidationParams
from sc_mamba2.tasks.shared.validation import quartiles, remarks
from sc_mamba2.training import ComputeOptions

_GROUPS = ("ingestion", "validation", "embedding", "compute")


def load_encoder(options: EmbeddingOptions) -> Encoder:
    """Read the checkpoint that embeds."""
    return read_encoder(options)


def load_encoder_of_index(index: ReferenceIndex, options: EmbeddingOptions) -> Encoder:
    """Read the checkpoint that embeds, and refuse an index of another before anything is done."""
    encoder = read_encoder(options)
    mapping.check_space(index, encoder.identity(options))
    return encoder


def load_encoder_for_labels(keys: KeyParams, options: EmbeddingOptions) -> Encoder:
    """Read the checkpoint that embeds, and refuse an index without labels."""
    if keys.label_key is None:
        raise UserError(
            "options",
            found="an index without labels",
            expected="the column of obs that holds the cell types",
            mend="add --label-key KEY",
        )
    return read_encoder(options)


def make_index(
    embedded: EmbeddedBlocks,
    encoder: Encoder,
    keys: KeyParams,
    options: EmbeddingOptions,
    params: MappingParams,
) -> ReferenceIndex:
    """Make the index of a labelled reference."""
    assert keys.label_key is not None
    return mapping.build_index(embedded, encoder.identity(options), keys.label_key, params)


def score(
    sample: AnnData,
    embedded: EmbeddedBlocks,
    encoder: Encoder,
    evaluation: EvaluationParams,
    validation: ValidationParams,
    compute: ComputeOptions,
    run_info: dict[str, Any],
    calls: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """Score the embedding beside others; the contents of ``metrics.json``."""
    scores = evaluate.score_methods(sample, evaluation, compute.seed)
    if calls is not None:
        scores["model"] |= evaluate.score_transfer(calls, embedded.obs)
    return {
        "model": scores["model"],
        "baselines": {name: scores[name] for name in SIMPLE if name in scores},
        "ablations": {name: scores[name] for name in ("untrained",) if name in scores},
        "data": _describe_data(sample, embedded, validation),
        "run": run_info | {"checkpoint_sha256": encoder.checkpoint_sha256},
    }


def _describe_data(
    sample: AnnData, embedded: EmbeddedBlocks, validation: ValidationParams
) -> dict[str, Any]:
    expressed, found = embedded.genes_a_cell(), embedded.form.report
    counted = embedded.form.kind == "counts"
    classes = {f"{key}_classes": int(embedded.obs[key].nunique()) for key in embedded.obs}
    return {
        "cells": embedded.cells,
        "width": embedded.width,
        "scored_cells": len(sample),
        **classes,
        **found,
        "genes_a_cell": quartiles(expressed),
        "remarks": list(remarks(expressed, found["genes"], counted, validation)),
    }


def write_embedded(
    embedded: EmbeddedBlocks,
    encoder: Encoder,
    options: EmbeddingOptions,
    run_info: dict[str, Any],
    calls: pd.DataFrame | None = None,
) -> CopiedCells:
    """Say what a copy of the user's cells gets: the embedding, the facts, and types from an index."""
    facts = {name: str(run_info[name]) for name in ("version", "command", "seed", "run_id")} | {
        "checkpoint_sha256": encoder.checkpoint_sha256,
        "vocabulary_sha256": encoder.tokenizer.vocabulary.sha256,
        "expression": embedded.form.origin,
        "genes_matched": embedded.form.report["genes"]["matched"],
        "pooling": np.asarray(options.pooling, dtype=object),
    }
    added = pd.DataFrame(index=embedded.obs.index) if calls is None else calls
    return CopiedCells(embedded.source, added, {keys.EMBEDDING: embedded}, {keys.FACTS: facts})


def draw_figures(
    sample: AnnData,
    evaluation: EvaluationParams,
    compute: ComputeOptions,
    calls: pd.DataFrame | None = None,
) -> dict[str, Figure]:
    """Draw the UMAP, and the neighbours of each class."""
    return figures.draw_embedding(sample, calls, evaluation.neighbours, compute.seed)


def write_report(
    metrics: dict[str, Any], figures: dict[str, bytes], parameters: dict[str, Any]
) -> str:
    """Write the one-file HTML report."""
    return report.embedding_report(metrics, figures, flat_parameters(parameters, _GROUPS))
