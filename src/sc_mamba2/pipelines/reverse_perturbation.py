"""The reverse perturbation pipeline, as a table of nodes; it trains nothing.

Names without a dot live in the namespace `reverse_perturbation`.
"""

from kedro.pipeline import Pipeline, node

from sc_mamba2.pipelines.shared import REFERENCE, namespaced, same
from sc_mamba2.tasks.perturbation.reverse import nodes

NAMESPACE = "reverse_perturbation"


def create_pipeline() -> Pipeline:
    """Return the pipeline that ranks perturbations by how near they bring cells to a state."""
    inputs = REFERENCE | {"model": "perturbation.checkpoint"}
    return namespaced(Pipeline([*_ranking(), *_concluding()]), NAMESPACE, inputs)


def _ranking() -> list:
    """From cells and a model to the ranking, and to where known states stand in theirs."""
    return [
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
        node(nodes.rank_candidates, ["ranker", "query"], "ranking", name="rank_candidates"),
        node(
            nodes.find_known_states,
            ["valid_cells", "ranker", "params:states", "params:known", "params:compute"],
            "found",
            name="find_known_states",
            tags="evaluation",
        ),
    ]


def _concluding() -> list:
    """From the ranking to what a person reads."""
    return [
        node(
            nodes.score,
            same("ranker", "query", "found", "model", "validation_report", "run_info")
            | {"states": "params:states", "params": "params:known"},
            "metrics",
            name="score",
            tags="evaluation",
        ),
        node(
            nodes.draw_figures,
            ["ranking", "ranker", "query", "found"],
            "figures",
            name="draw_figures",
            tags="reporting",
        ),
        node(
            nodes.write_report,
            ["metrics", "ranking", "figures", "parameters"],
            "report",
            name="write_report",
            tags="reporting",
        ),
    ]
