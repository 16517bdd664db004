"""The pipeline `pretraining`: files become a corpus of tokens, tokens a pretrained model."""

from sc_mamba2.pipelines.pretraining.pipeline import create_pipeline

__all__ = ["create_pipeline"]
