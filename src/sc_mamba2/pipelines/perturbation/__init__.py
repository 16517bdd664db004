"""The pipeline `perturbation`."""

from sc_mamba2.pipelines.perturbation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
