"""The batch correction pipelines, as tables of nodes.

`create_pipeline` learns from a file and corrects it; `create_prediction_pipeline` corrects a file of
known batches with a checkpoint and trains nothing. Names without a dot live in the namespace
`batch_correction`.
"""

from kedro.pipeline import Pipeline, node

from sc_mamba2.pipelines.shared import (
    REFERENCE,
    namespaced,
    prediction_pipeline,
    same,
    tokenize_pipeline,
    training_pipeline,
)
from sc_mamba2.tasks.batch_correction import nodes
from sc_mamba2.tasks.batch_correction.ablations import run_ablations

NAMESPACE = "batch_correction"


def create_pipeline() -> Pipeline:
    """Return the pipeline that learns to correct the cells of a file, and corrects them."""
    own = [
        node(
            nodes.take_batches,
            ["valid_cells", "params:keys"],
            ["cells", "truth"],
            name="take_batches",
        ),
        node(
            nodes.fit_tokenizer_within_batches,
            ["cells", "params:tokenization"],
            "tokenizer",
            name="fit_tokenizer",
            tags="tokenization",
        ),
        node(
            nodes.split_validation,
            ["tokens", "params:keys", "params:compute"],
            ["training_tokens", "validation_tokens"],
            name="split_validation",
        ),
        node(
            nodes.attach_head,
            [
                "backbone",
                "tokenizer",
                "training_tokens",
                "params:head",
                "params:objective",
                "params:keys",
                "params:compute",
            ],
            "task_model",
            name="attach_head",
        ),
        node(
            run_ablations,
            {
                "backbone": "backbone",
                "model": "model",
                "training_tokens": "training_tokens",
                "validation_tokens": "validation_tokens",
                "tokens": "tokens",
                "fine_tuning": "params:fine_tune",
                "prediction": "params:predict",
                "params": "params:ablations",
                "compute": "params:compute",
            },
            "ablation_embeddings",
            name="run_ablations",
            tags="evaluation",
        ),
    ]
    return _namespaced(Pipeline(own) + training_pipeline() + _correct() + _conclude(fitted=True))


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that corrects cells of known batches with a trained model."""
    first = [
        node(nodes.read_tokenizer, "model", "tokenizer", name="read_tokenizer"),
        node(
            nodes.take_known_batches,
            ["valid_cells", "model", "params:keys"],
            ["cells", "truth"],
            name="take_batches",
        ),
    ]
    whole = Pipeline(first) + _correct() + _conclude(fitted=False)
    return _namespaced(whole, model="batch_correction.checkpoint")


def _correct() -> Pipeline:
    """From cells and a model to the corrected embedding."""
    tokens = Pipeline(tokenize_pipeline(), inputs={"valid_cells": "cells"})
    return tokens + prediction_pipeline()


def _conclude(fitted: bool) -> Pipeline:
    """From the embedding to what a person reads; a run that trained shows more."""
    beside = {"ablations": "ablation_embeddings"} if fitted else {}
    curve = {"history": "history"} if fitted else {}
    compute = {"compute": "params:compute"}
    return Pipeline(
        [
            node(
                nodes.run_baselines,
                ["cells", "params:baselines", "params:compute"],
                "baselines",
                name="run_baselines",
                tags="evaluation",
            ),
            node(
                nodes.score,
                same("outputs", "cells", "baselines", "truth", "model")
                | same("validation_report", "run_info")
                | compute
                | beside,
                "metrics",
                name="score",
                tags="evaluation",
            ),
            node(
                nodes.write_integrated,
                same("raw_cells", "cells", "outputs", "model", "validation_report", "run_info")
                | {"params": "params:output", "ingestion": "params:ingestion"},
                "integrated",
                name="write_integrated",
            ),
            node(
                nodes.draw_figures,
                same("outputs", "cells", "baselines", "truth") | compute | curve,
                "figures",
                name="draw_figures",
                tags="reporting",
            ),
            node(
                nodes.write_report,
                ["metrics", "figures", "parameters"],
                "report",
                name="write_report",
                tags="reporting",
            ),
        ]
    )


def _namespaced(pipeline: Pipeline, **inputs: str) -> Pipeline:
    return namespaced(pipeline, NAMESPACE, REFERENCE | inputs)
