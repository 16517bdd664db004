"""The annotation pipelines: held-out cells of a reference, a query, a query with a trained model.

Names without a dot are in the namespace `annotation`.
"""

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from sc_mamba2.pipelines.shared import namespaced, same, step
from sc_mamba2.tasks.annotation.baselines import compare
from sc_mamba2.tasks.annotation.evaluate import score
from sc_mamba2.tasks.annotation.fit import calibrate, prepare
from sc_mamba2.tasks.annotation.other_genes import adapt_to_query
from sc_mamba2.tasks.annotation.predict import call_cells, prepare_query, write_annotated
from sc_mamba2.tasks.annotation.report import report
from sc_mamba2.tasks.annotation.split import hold_out, take_query
from sc_mamba2.tasks.shared.backbone import fine_tune, predict

_PARTS = "training_cells query_cells truth"


def create_pipeline() -> Pipeline:
    """Return the pipeline that holds out part of the reference and annotates it."""
    split = step(hold_out, "valid_reference params:labels params:compute", _PARTS)
    known = {
        "raw_query": "reference.raw_cells",
        "valid_query": "reference.valid_cells",
        "report_of_query": "reference.validation_report",
    }
    return _namespaced([split, *_fit(), *_annotate(fitted=True, roles=("reference",))], **known)


def create_query_pipeline() -> Pipeline:
    """Return the pipeline that trains on the reference and annotates the query."""
    split = step(take_query, "valid_reference valid_query params:labels", _PARTS)
    nodes = [split, *_fit(), _meet(), *_annotate(fitted=True, roles=("reference", "query"))]
    return _namespaced(nodes)


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that annotates the query with a trained model."""
    first = step(prepare_query, "valid_query model params:labels", "query_tokens truth")
    nodes = [first, _meet(), *_annotate(fitted=False, roles=("query",))]
    return _namespaced(nodes, model="annotation.checkpoint")


def _meet() -> Node:
    """Return the node that adapts a model to the query's genes."""
    return step(
        adapt_to_query,
        "model valid_query query_report params:validation params:predict params:compute",
        "reader report_of_query",
        tags="inference",
    )


def _fit() -> list[Node]:
    """Return the nodes from training cells to a trained model, baselines and ablations."""
    groups = (
        "params:labels params:tokenization params:backbone params:head params:consensus "
        "params:validation params:compute"
    )
    tokens = "training_tokens validation_tokens query_tokens"
    return [
        step(prepare, f"training_cells query_cells {groups}", f"untrained_model {tokens}"),
        step(
            fine_tune,
            "untrained_model training_tokens validation_tokens params:fine_tune params:compute",
            "fitted_model history",
            tags="backbone training",
        ),
        step(
            calibrate,
            "fitted_model validation_tokens params:calls params:predict params:compute",
            "model",
            tags="training",
        ),
        step(
            compare,
            f"training_cells query_cells untrained_model {tokens} params:baselines "
            "params:ablations params:fine_tune params:predict params:compute",
            "baseline_calls ablation_calls",
            tags="evaluation",
        ),
    ]


def _annotate(fitted: bool, roles: tuple[str, ...]) -> list[Node]:
    """Return the nodes from query cells and a model to the results; a training run shows more."""
    baselines = same("baseline_calls", "ablation_calls") if fitted else {}
    reader = "reader" if "query" in roles else "model"
    names = {"reference": "reference_report", "query": "report_of_query"}
    reports = {f"{role}_report": names[role] for role in roles}
    if roles == ("reference",):
        reports = {"reference_report": "report_of_query"}
    history = same("history") if fitted else {}
    return [
        step(
            predict,
            f"{reader} query_tokens params:predict params:compute params:launch",
            "outputs",
            tags="backbone inference",
        ),
        step(
            call_cells,
            f"outputs {reader} query_tokens params:calls params:labels params:compute",
            "calls embedding",
        ),
        step(
            score,
            same("calls", "truth", "model", "run_info")
            | {"label_params": "params:labels", "calling": "params:calls"}
            | reports
            | baselines,
            "metrics",
            tags="evaluation",
        ),
        step(
            write_annotated, "raw_query calls embedding model report_of_query run_info", "annotated"
        ),
        step(
            report,
            same("metrics", "calls", "embedding", "truth", "raw_query", "valid_query", "parameters")
            | {"compute": "params:compute"}
            | history,
            "figures report",
            tags="reporting",
        ),
    ]


def _namespaced(nodes: list, **inputs: str) -> Pipeline:
    known = {
        "valid_reference": "reference.valid_cells",
        "reference_report": "reference.validation_report",
        "valid_query": "query.valid_cells",
        "raw_query": "query.raw_cells",
        "query_report": "query.validation_report",
    }
    return namespaced(Pipeline(nodes), "annotation", known | inputs)
