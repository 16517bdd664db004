"""What the pages share: cells of a role, tokens, the Mamba2 nodes, and a task's namespace."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Pipeline, node
from kedro.pipeline.node import Node

from sc_mamba2.tasks.shared.backbone import (
    encode_cells,
    fine_tune,
    load_or_build_backbone,
    predict,
)
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer, tokenize_cells
from sc_mamba2.tasks.shared.validation import ingest_cells, validate_cells

SHARED_PARAMETERS = frozenset(
    {*(f"params:{group}" for group in ("tokenization", "ingestion", "validation", "compute"))}
    | {"parameters"}
)
REFERENCE = {
    "valid_cells": "reference.valid_cells",
    "raw_cells": "reference.raw_cells",
    "validation_report": "reference.validation_report",
}


def ingestion_pipeline() -> Pipeline:
    """Return raw cells -> cells in the standard form; a namespace names whose (reference, query)."""
    return Pipeline(
        [
            node(
                ingest_cells,
                inputs=["raw_cells", "params:ingestion"],
                outputs=["cells", "ingestion_report"],
                name="ingest_cells",
                tags="ingestion",
            )
        ]
    )


def validation_pipeline() -> Pipeline:
    """Return cells -> valid cells and a report."""
    return Pipeline(
        [
            node(
                validate_cells,
                inputs=["cells", "ingestion_report", "params:validation"],
                outputs=["valid_cells", "validation_report"],
                name="validate_cells",
                tags="validation",
            )
        ]
    )


def tokenization_pipeline() -> Pipeline:
    """Return the pipeline for cells that choose their own genes."""
    return Pipeline(
        [
            node(
                fit_tokenizer,
                inputs={
                    "reference_cells": "valid_cells",
                    "query_cells": "valid_cells",
                    "params": "params:tokenization",
                },
                outputs="tokenizer",
                name="fit_tokenizer",
                tags="tokenization",
            ),
            *tokenize_pipeline().nodes,
        ]
    )


def tokenize_pipeline() -> Pipeline:
    """Return the part that only applies a tokenizer."""
    return Pipeline(
        [
            node(
                tokenize_cells,
                inputs=["valid_cells", "tokenizer"],
                outputs="tokens",
                name="tokenize_cells",
                tags="tokenization",
            )
        ]
    )


def backbone_pipeline() -> Pipeline:
    """Return all shared nodes; a task takes its part of them under its own namespace."""
    return training_pipeline() + encoding_pipeline() + prediction_pipeline()


def training_pipeline() -> Pipeline:
    """From tokens to a fine-tuned model; between the two nodes a task makes `task_model`."""
    return Pipeline(
        [
            node(
                load_or_build_backbone,
                inputs=["tokenizer", "training_tokens", "params:backbone", "params:compute"],
                outputs="backbone",
                name="load_or_build_backbone",
                tags=["backbone", "training"],
            ),
            node(
                fine_tune,
                inputs=[
                    "task_model",
                    "training_tokens",
                    "validation_tokens",
                    "params:fine_tune",
                    "params:compute",
                ],
                outputs=["model", "history"],
                name="fine_tune",
                tags=["backbone", "training"],
            ),
        ]
    )


def encoding_pipeline() -> Pipeline:
    """From tokens to the backbone's embedding of every cell."""
    return Pipeline(
        [
            node(
                encode_cells,
                inputs=["backbone", "tokens", "tokenizer", "params:encode", "params:compute"],
                outputs="cell_embedding",
                name="encode_cells",
                tags=["backbone", "inference"],
            )
        ]
    )


def prediction_pipeline() -> Pipeline:
    """From tokens and a fine-tuned model to its outputs."""
    return Pipeline(
        [
            node(
                predict,
                inputs=["model", "tokens", "params:predict", "params:compute"],
                outputs="outputs",
                name="predict",
                tags=["backbone", "inference"],
            )
        ]
    )


def namespaced(pipeline: Pipeline, namespace: str, inputs: dict[str, str]) -> Pipeline:
    """Put a pipeline into a namespace and tag its nodes; shared parameters and the run's facts stay outside.

    Parameters
    ----------
    pipeline
        A task's nodes, under short names.
    namespace
        The task's.
    inputs
        What comes from elsewhere, by its short name; those that the pipeline does not read are
        passed over.
    """
    outside = {"run_info": "run_info"} | inputs
    return Pipeline(
        pipeline,
        namespace=namespace,
        inputs={short: name for short, name in outside.items() if short in pipeline.inputs()},
        parameters=set(SHARED_PARAMETERS & pipeline.inputs()),
        tags=namespace,
    )


def step(
    function: Callable[..., Any],
    inputs: str | dict[str, str],
    outputs: str,
    tags: str | None = None,
) -> Node:
    """Return a node that is named after its function.

    Parameters
    ----------
    function
        Of `tasks`.
    inputs, outputs
        Names of datasets with spaces between; inputs in the order of the arguments, or by argument.
    tags
        With spaces between.
    """
    made = outputs.split()
    return node(
        function,
        inputs if isinstance(inputs, dict) else inputs.split(),
        made[0] if len(made) == 1 else made,
        name=function.__name__,
        tags=tags.split() if tags else None,
    )


def same(*names: str) -> dict[str, str]:
    """Return arguments of a node that are called as their datasets are."""
    return {name: name for name in names}
