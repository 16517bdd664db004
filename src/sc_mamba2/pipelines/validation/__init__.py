"""The pipeline `validation`."""

from sc_mamba2.pipelines.validation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
