"""The pipeline `tokenization`."""

from sc_mamba2.pipelines.tokenization.pipeline import create_pipeline

__all__ = ["create_pipeline"]
