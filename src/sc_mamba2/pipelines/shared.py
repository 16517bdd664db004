"""Parts shared by the pipelines: ingestion, validation, tokenization, and a task's namespace."""

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Pipeline, node
from kedro.pipeline.node import Node

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


def step(
    function: Callable[..., Any],
    inputs: str | dict[str, str],
    outputs: str,
    tags: str | None = None,
) -> Node:
    """Return a node named after its function.

    Parameters
    ----------
    function
        A function of `tasks`.
    inputs, outputs
        Names of datasets separated by spaces; inputs in the order of the arguments, or by argument.
    tags
        Separated by spaces.
    """
    made = outputs.split()
    return node(
        function,
        inputs if isinstance(inputs, dict) else inputs.split(),
        made[0] if len(made) == 1 else made,
        name=function.__name__,
        tags=tags.split() if tags else None,
    )


def ingestion_pipeline() -> Pipeline:
    """Return raw cells -> cells in the standard form, for any namespace (reference, query)."""
    outputs = "cells ingestion_report"
    return Pipeline([step(ingest_cells, "raw_cells params:ingestion", outputs, "ingestion")])


def validation_pipeline() -> Pipeline:
    """Return cells -> valid cells and a report."""
    inputs = "cells ingestion_report params:validation"
    return Pipeline([step(validate_cells, inputs, "valid_cells validation_report", "validation")])


def tokenization_pipeline() -> Pipeline:
    """Return valid cells -> tokens, with genes chosen on the same cells."""
    return Pipeline(
        [
            step(fit_tokenizer, "valid_cells valid_cells params:tokenization", "tokenizer"),
            step(tokenize_cells, "valid_cells tokenizer", "tokens"),
        ],
        tags="tokenization",
    )


def namespaced(pipeline: Pipeline, namespace: str, inputs: dict[str, str]) -> Pipeline:
    """Put a pipeline into a namespace and tag its nodes; shared parameters and `run_info` stay outside.

    Parameters
    ----------
    pipeline
        A task's nodes, with short names of datasets.
    namespace
        Namespace of the task.
    inputs
        External datasets by short name; those that the pipeline does not read are ignored.
    """
    outside = {"run_info": "run_info"} | inputs
    return Pipeline(
        pipeline,
        namespace=namespace,
        inputs={short: name for short, name in outside.items() if short in pipeline.inputs()},
        parameters=set(SHARED_PARAMETERS & pipeline.inputs()),
        tags=namespace,
    )


def same(*names: str) -> dict[str, str]:
    """Return node inputs whose argument names equal their dataset names."""
    return {name: name for name in names}
