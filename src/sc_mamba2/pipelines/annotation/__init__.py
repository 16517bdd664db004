"""The pipeline `annotation`."""

from sc_mamba2.pipelines.annotation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
