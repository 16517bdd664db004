"""The reverse perturbation pipeline, as a table of nodes; it trains nothing.

Names without a dot are in the namespace `reverse_perturbation`.
"""

from kedro.pipeline import Pipeline

from sc_mamba2.pipelines.shared import REFERENCE, namespaced, step
from sc_mamba2.tasks.perturbation.reverse.evaluate import score
from sc_mamba2.tasks.perturbation.reverse.rank import fit_ranker, prepare, rank_candidates
from sc_mamba2.tasks.perturbation.reverse.report import report

NAMESPACE = "reverse_perturbation"


def create_pipeline() -> Pipeline:
    """Return the pipeline that ranks perturbations by how close they bring cells to a state."""
    nodes = [
        step(prepare, "valid_cells model params:states params:candidates", "query candidates"),
        step(fit_ranker, "model candidates query params:rank params:compute", "ranker"),
        step(rank_candidates, "ranker query", "ranking"),
        step(
            score,
            "valid_cells ranker ranking query model validation_report run_info params:states params:known "
            "params:compute",
            "metrics",
            "evaluation",
        ),
        step(report, "metrics ranking ranker query parameters", "figures report", "reporting"),
    ]
    inputs = REFERENCE | {"model": "perturbation.checkpoint"}
    return namespaced(Pipeline(nodes), NAMESPACE, inputs)
