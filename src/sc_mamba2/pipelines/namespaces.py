"""How the table of nodes of a task is put into the task's namespace: what it shares with the others."""

from kedro.pipeline import Pipeline

SHARED_PARAMETERS = frozenset(
    {
        "params:tokenization",
        "params:ingestion",
        "params:validation",
        "params:compute",
        "parameters",
    }
)
REFERENCE = {
    "valid_cells": "reference.valid_cells",
    "raw_cells": "reference.raw_cells",
    "validation_report": "reference.validation_report",
}


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


def same(*names: str) -> dict[str, str]:
    """Return arguments of a node that are called as their datasets are."""
    return {name: name for name in names}
