"""The reverse perturbation pipeline, as a table of nodes; it trains nothing.

Names without a dot live in the namespace `reverse_perturbation`.
"""

from kedro.pipeline import Pipeline, node

from sc_mamba2.pipelines.reverse_perturbation import nodes

NAMESPACE = "reverse_perturbation"


def create_pipeline() -> Pipeline:
    """Return the pipeline that ranks perturbations by how near they bring cells to a state."""
    table = [
        node(
            nodes.ask_for_states,
            ["valid_cells", "model", "params:states"],
            "query",
            name="ask_for_states",
        ),
        node(
            nodes.list_candidates,
            ["model", "params:candidates"],
            "candidates",
            name="list_candidates",
        ),
        node(
            nodes.fit_ranker,
            ["model", "candidates", "query", "params:rank", "params:compute"],
            "ranker",
            name="fit_ranker",
        ),
        node(
            nodes.rank_candidates,
            ["ranker", "query", "model", "params:rank"],
            "ranking",
            name="rank_candidates",
        ),
        node(
            nodes.describe,
            ["ranker", "query", "model", "validation_report", "run_info"],
            "metrics",
            name="describe",
            tags="evaluation",
        ),
    ]
    return Pipeline(
        table,
        namespace=NAMESPACE,
        tags=NAMESPACE,
        inputs={
            "valid_cells": "reference.valid_cells",
            "validation_report": "reference.validation_report",
            "model": "perturbation.checkpoint",
            "run_info": "run_info",
        },
        parameters={"params:compute"},
    )
