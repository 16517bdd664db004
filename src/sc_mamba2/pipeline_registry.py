"""Kedro looks here for the pipelines."""

from kedro.pipeline import Pipeline

from sc_mamba2.pipelines.registry import named_pipelines


def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by name."""
    return named_pipelines()
