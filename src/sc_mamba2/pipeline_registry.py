"""Kedro's entry point for the pipelines."""

from functools import cache

from kedro.pipeline import Pipeline

from sc_mamba2.pipelines.registry import named_pipelines


@cache  # Kedro calls it in every run of a process
def register_pipelines() -> dict[str, Pipeline]:
    """Return every pipeline by name."""
    return named_pipelines()
