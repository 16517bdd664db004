"""The gene network pipeline, as a table of nodes; it trains nothing.

Names without a dot are in the namespace `gene_network`.
"""

from kedro.pipeline import Pipeline

from sc_mamba2.pipelines.shared import REFERENCE, namespaced, step
from sc_mamba2.tasks.gene_network.evaluate import score
from sc_mamba2.tasks.gene_network.genes import prepare
from sc_mamba2.tasks.gene_network.report import report
from sc_mamba2.tasks.gene_network.scores import make_network, score_pairs


def create_pipeline() -> Pipeline:
    """Return the pipeline that scores pairs of genes and makes a network of the best ones."""
    nodes = [
        step(
            prepare,
            "valid_cells params:scoring params:reference params:genes params:ingestion params:compute",
            "model known_edges choice",
        ),
        step(
            score_pairs,
            "valid_cells model choice params:scoring params:baselines params:compute",
            "scores",
            "backbone inference",
        ),
        step(
            make_network,
            "scores params:scoring params:network params:compute",
            "edges modules network",
        ),
        step(
            score,
            "scores model known_edges params:scoring validation_report run_info",
            "metrics",
            "evaluation",
        ),
        step(
            report,
            "scores edges modules metrics parameters params:scoring params:network params:compute",
            "figures report",
            "reporting",
        ),
    ]
    return namespaced(Pipeline(nodes), "gene_network", REFERENCE)
