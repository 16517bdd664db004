"""The pipeline `reverse_perturbation`: it asks what the room `perturbation` trained, and so reads that room."""

from sc_mamba2.pipelines.reverse_perturbation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
