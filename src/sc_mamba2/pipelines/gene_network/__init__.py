"""The pipeline `gene_network`."""

from sc_mamba2.pipelines.gene_network.pipeline import create_pipeline

__all__ = ["create_pipeline"]
