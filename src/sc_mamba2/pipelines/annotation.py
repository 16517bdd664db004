"""The annotation pipelines, as tables of nodes.

`create_pipeline` holds out a part of the reference, `create_query_pipeline` annotates another file,
`create_prediction_pipeline` annotates a file with a checkpoint and trains nothing. They share all
they can; names without a dot live in the namespace `annotation`.
"""

from kedro.pipeline import Pipeline, node

from sc_mamba2.pipelines.shared import (
    namespaced,
    prediction_pipeline,
    tokenize_pipeline,
    training_pipeline,
)
from sc_mamba2.tasks.annotation import nodes
from sc_mamba2.tasks.annotation.ablations import run_ablations
from sc_mamba2.tasks.shared.tokenization import fit_tokenizer

NAMESPACE = "annotation"


def create_pipeline() -> Pipeline:
    """Return the pipeline that holds out a part of the reference and annotates it."""
    split = node(
        nodes.hold_out,
        ["reference_cells", "params:labels", "params:compute"],
        ["training_cells", "query_cells", "truth"],
        name="hold_out",
    )
    reports = node(
        nodes.gather_reports, {"reference": "query_report"}, "reports", name="gather_reports"
    )
    return _namespaced(
        Pipeline([split, reports]) + _fit() + _predict() + _conclude(fitted=True),
        reference_cells="reference.valid_cells",
        raw_query="reference.raw_cells",
        query_report="reference.validation_report",
    )


def create_query_pipeline() -> Pipeline:
    """Return the pipeline that learns from the reference and annotates the query."""
    split = node(
        nodes.take_query,
        ["reference_cells", "valid_query", "params:labels"],
        ["training_cells", "query_cells", "truth"],
        name="take_query",
    )
    reports = node(
        nodes.gather_reports,
        {"reference": "reference_report", "query": "query_report"},
        "reports",
        name="gather_reports",
    )
    return _namespaced(
        Pipeline([split, reports]) + _fit() + _predict() + _conclude(fitted=True),
        reference_cells="reference.valid_cells",
        reference_report="reference.validation_report",
        valid_query="query.valid_cells",
        raw_query="query.raw_cells",
        query_report="query.validation_report",
    )


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that annotates the query with a trained model."""
    first = [
        node(nodes.read_tokenizer, "model", "tokenizer", name="read_tokenizer"),
        node(
            nodes.read_truth, ["query_cells", "model", "params:labels"], "truth", name="read_truth"
        ),
        node(nodes.gather_reports, {"query": "query_report"}, "reports", name="gather_reports"),
    ]
    return _namespaced(
        Pipeline(first) + _predict() + _conclude(fitted=False),
        model="annotation.checkpoint",
        query_cells="query.valid_cells",
        raw_query="query.raw_cells",
        query_report="query.validation_report",
    )


def _fit() -> Pipeline:
    """From training cells to a model, with baselines and ablations beside it."""
    training_tokens = Pipeline(
        tokenize_pipeline(),
        namespace="training",
        inputs={"valid_cells": "training_cells", "tokenizer": "tokenizer"},
        outputs={"tokens": "labelled_tokens"},
    )
    own = [
        node(
            fit_tokenizer,
            ["training_cells", "query_cells", "params:tokenization"],
            "tokenizer",
            name="fit_tokenizer",
            tags="tokenization",
        ),
        node(
            nodes.split_validation,
            ["labelled_tokens", "params:labels", "params:compute"],
            ["training_tokens", "validation_tokens"],
            name="split_validation",
        ),
        node(
            nodes.attach_head,
            [
                "backbone",
                "tokenizer",
                "training_tokens",
                "params:head",
                "params:labels",
                "params:compute",
            ],
            "task_model",
            name="attach_head",
        ),
        node(
            nodes.calibrate,
            [
                "fitted_model",
                "validation_tokens",
                "params:calls",
                "params:predict",
                "params:compute",
            ],
            "model",
            name="calibrate",
            tags="training",
        ),
        node(
            nodes.run_baselines,
            ["training_cells", "query_cells", "tokenizer", "params:baselines", "params:compute"],
            "baseline_calls",
            name="run_baselines",
            tags="evaluation",
        ),
        node(
            run_ablations,
            {
                "backbone": "backbone",
                "model": "model",
                "training_tokens": "training_tokens",
                "validation_tokens": "validation_tokens",
                "query_tokens": "query_tokens",
                "fine_tuning": "params:fine_tune",
                "prediction": "params:predict",
                "params": "params:ablations",
                "compute": "params:compute",
            },
            "ablation_calls",
            name="run_ablations",
            tags="evaluation",
        ),
    ]
    training = Pipeline(training_pipeline(), outputs={"model": "fitted_model"})
    return Pipeline(own) + training_tokens + training


def _predict() -> Pipeline:
    """From query cells and a model to calls."""
    query_tokens = Pipeline(
        tokenize_pipeline(),
        namespace="query",
        inputs={"valid_cells": "query_cells", "tokenizer": "tokenizer"},
        outputs={"tokens": "query_tokens"},
    )
    prediction = Pipeline(
        prediction_pipeline(), inputs={"tokens": "query_tokens", "model": "model"}
    )
    call = node(
        nodes.call_cells,
        [
            "outputs",
            "model",
            "query_tokens",
            "params:calls",
            "params:labels",
            "params:compute",
        ],
        ["calls", "embedding"],
        name="call_cells",
    )
    return query_tokens + prediction + Pipeline([call])


def _conclude(fitted: bool) -> Pipeline:
    """From calls to what a person reads; a run that trained shows baselines and the training too."""
    beside = {"baselines": "baseline_calls", "ablations": "ablation_calls"} if fitted else {}
    curve = {"history": "history"} if fitted else {}
    return Pipeline(
        [
            node(
                nodes.score,
                {name: name for name in ("calls", "truth", "model", "reports", "run_info")}
                | {"label_params": "params:labels"}
                | beside,
                "metrics",
                name="score",
                tags="evaluation",
            ),
            node(
                nodes.write_annotated,
                ["raw_query", "calls", "embedding", "model", "query_report", "run_info"],
                "annotated",
                name="write_annotated",
            ),
            node(
                nodes.draw_figures,
                {
                    "calls": "calls",
                    "embedding": "embedding",
                    "truth": "truth",
                    "compute": "params:compute",
                }
                | curve,
                "figures",
                name="draw_figures",
                tags="reporting",
            ),
            node(
                nodes.write_report,
                ["metrics", "figures", "reports", "parameters"],
                "report",
                name="write_report",
                tags="reporting",
            ),
        ]
    )


def _namespaced(pipeline: Pipeline, **inputs: str) -> Pipeline:
    return namespaced(pipeline, NAMESPACE, inputs)
