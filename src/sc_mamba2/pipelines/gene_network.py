"""The gene network pipeline, as a table of nodes; it trains nothing.

Names without a dot live in the namespace `gene_network`.
"""

from kedro.pipeline import Pipeline, node

from sc_mamba2.pipelines.shared import REFERENCE, namespaced
from sc_mamba2.tasks.gene_network import nodes

NAMESPACE = "gene_network"


def create_pipeline() -> Pipeline:
    """Return the pipeline that scores pairs of genes and makes a network of the best."""
    return namespaced(Pipeline([*_scoring(), *_concluding()]), NAMESPACE, REFERENCE)


def _scoring() -> list:
    """From cells to the scores of all pairs."""
    return [
        node(nodes.load_model, "params:scoring", "model", name="load_model"),
        node(nodes.load_reference, "params:reference", "known", name="load_reference"),
        node(
            nodes.choose_genes,
            ["valid_cells", "model", "known", "params:genes"],
            "choice",
            name="choose_genes",
        ),
        node(
            nodes.score_pairs,
            [
                "valid_cells",
                "model",
                "choice",
                "params:scoring",
                "params:baselines",
                "params:compute",
            ],
            "scores",
            name="score_pairs",
            tags=["backbone", "inference"],
        ),
    ]


def _concluding() -> list:
    """From scores to what a person reads."""
    return [
        node(
            nodes.list_edges,
            ["scores", "params:scoring", "params:network"],
            "edges",
            name="list_edges",
        ),
        node(
            nodes.make_network,
            ["scores", "params:scoring", "params:network", "params:compute"],
            ["modules", "network"],
            name="make_network",
        ),
        node(
            nodes.score,
            ["scores", "known", "params:scoring", "validation_report", "run_info"],
            "metrics",
            name="score",
            tags="evaluation",
        ),
        node(
            nodes.draw_figures,
            ["scores", "modules", "params:scoring", "params:network", "params:compute"],
            "figures",
            name="draw_figures",
            tags="reporting",
        ),
        node(
            nodes.write_report,
            ["metrics", "edges", "modules", "figures", "parameters"],
            "report",
            name="write_report",
            tags="reporting",
        ),
    ]
