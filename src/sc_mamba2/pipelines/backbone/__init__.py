"""The pipeline `backbone`."""

from sc_mamba2.pipelines.backbone.pipeline import create_pipeline

__all__ = ["create_pipeline"]
