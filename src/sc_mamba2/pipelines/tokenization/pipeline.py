"""valid cells -> tokens."""

from kedro.pipeline import Pipeline, node

from sc_mamba2.pipelines.tokenization.nodes import fit_tokenizer, tokenize_cells


def create_pipeline() -> Pipeline:
    """Return the pipeline for cells that choose their own genes."""
    return Pipeline(
        [
            node(
                fit_tokenizer,
                inputs={
                    "reference_cells": "valid_cells",
                    "query_cells": "valid_cells",
                    "params": "params:tokenization",
                },
                outputs="tokenizer",
                name="fit_tokenizer",
                tags="tokenization",
            ),
            *tokenize_pipeline().nodes,
        ]
    )


def tokenize_pipeline() -> Pipeline:
    """Return the part that only applies a tokenizer."""
    return Pipeline(
        [
            node(
                tokenize_cells,
                inputs=["valid_cells", "tokenizer"],
                outputs="tokens",
                name="tokenize_cells",
                tags="tokenization",
            )
        ]
    )
