"""The pipeline `reverse_perturbation`."""

from sc_mamba2.pipelines.reverse_perturbation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
