"""All pipelines by the name that `scm run --pipeline` takes: those of the tasks, and the steps before them."""

import warnings
from importlib import import_module

from kedro.pipeline import Pipeline

from sc_mamba2.pipelines.shared import (
    ingestion_pipeline,
    tokenization_pipeline,
    validation_pipeline,
)
from sc_mamba2.tasks.table import PRETRAIN, TASKS

DEFAULT = "__default__"
ROLES = ("reference", "query")


def named_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by name; the default one stops before any training."""
    with warnings.catch_warnings():
        # Datasets of another namespace (reference.valid_cells) are intended; Kedro warns of them.
        warnings.filterwarnings("ignore", message="One or more dataset names contain")
        return _named_pipelines()


def _named_pipelines() -> dict[str, Pipeline]:
    named: dict[str, Pipeline] = {}
    for task in (*TASKS.values(), PRETRAIN):
        page = import_module(f"sc_mamba2.pipelines.{task.pipeline}")
        for name, function in task.pipelines.items():
            named[name] = _with_cells(getattr(page, function)())
    tokens = Pipeline(
        tokenization_pipeline(), namespace="reference", parameters={"params:tokenization"}
    )
    until_tokens = _valid_cells("reference") + tokens
    return named | {
        "ingestion": _ingested("reference"),
        "validation": _valid_cells("reference"),
        "tokenization": until_tokens,
        DEFAULT: until_tokens,
    }


def _with_cells(pipeline: Pipeline) -> Pipeline:
    """Prepend ingestion and validation of the cells of each role that a task reads."""
    read = [role for role in ROLES if f"{role}.valid_cells" in pipeline.inputs()]
    return sum((_valid_cells(role) for role in read), start=Pipeline([])) + pipeline


def _ingested(role: str) -> Pipeline:
    """From raw cells of a role (reference, query) to the standard form."""
    return Pipeline(ingestion_pipeline(), namespace=role, parameters={"params:ingestion"})


def _valid_cells(role: str) -> Pipeline:
    """From raw cells of a role to valid cells."""
    valid = Pipeline(validation_pipeline(), namespace=role, parameters={"params:validation"})
    return _ingested(role) + valid
