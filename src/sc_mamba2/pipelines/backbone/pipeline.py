"""The shared Mamba2 pipeline: backbone -> (a task attaches its head) -> fine-tune -> predict."""

from kedro.pipeline import Pipeline, node

from sc_mamba2.pipelines.backbone.nodes import (
    encode_cells,
    fine_tune,
    load_or_build_backbone,
    predict,
)


def create_pipeline() -> Pipeline:
    """Return all shared nodes; a task takes its part of them under its own namespace."""
    return training_pipeline() + encoding_pipeline() + prediction_pipeline()


def training_pipeline() -> Pipeline:
    """From tokens to a fine-tuned model; between the two nodes a task makes `task_model`."""
    return Pipeline(
        [
            node(
                load_or_build_backbone,
                inputs=["tokenizer", "training_tokens", "params:backbone", "params:compute"],
                outputs="backbone",
                name="load_or_build_backbone",
                tags=["backbone", "training"],
            ),
            node(
                fine_tune,
                inputs=[
                    "task_model",
                    "training_tokens",
                    "validation_tokens",
                    "params:fine_tune",
                    "params:compute",
                ],
                outputs=["model", "history"],
                name="fine_tune",
                tags=["backbone", "training"],
            ),
        ]
    )


def encoding_pipeline() -> Pipeline:
    """From tokens to the backbone's embedding of every cell."""
    return Pipeline(
        [
            node(
                encode_cells,
                inputs=["backbone", "tokens", "tokenizer", "params:encode", "params:compute"],
                outputs="cell_embedding",
                name="encode_cells",
                tags=["backbone", "inference"],
            )
        ]
    )


def prediction_pipeline() -> Pipeline:
    """From tokens and a fine-tuned model to its outputs."""
    return Pipeline(
        [
            node(
                predict,
                inputs=["model", "tokens", "params:predict", "params:compute"],
                outputs="outputs",
                name="predict",
                tags=["backbone", "inference"],
            )
        ]
    )
