"""The pipeline `multiomics`."""

from sc_mamba2.pipelines.multiomics.pipeline import create_pipeline

__all__ = ["create_pipeline"]
