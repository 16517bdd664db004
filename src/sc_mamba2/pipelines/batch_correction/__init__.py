"""The pipeline `batch_correction`."""

from sc_mamba2.pipelines.batch_correction.pipeline import create_pipeline

__all__ = ["create_pipeline"]
