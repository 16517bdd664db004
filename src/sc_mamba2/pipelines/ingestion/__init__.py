"""The pipeline `ingestion`."""

from sc_mamba2.pipelines.ingestion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
