"""The pipeline `embedding`."""

from sc_mamba2.pipelines.embedding.pipeline import create_pipeline

__all__ = ["create_pipeline"]
