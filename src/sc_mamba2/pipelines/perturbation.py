"""The perturbation pipelines, as tables of nodes.

`create_pipeline` learns from a file, is scored on what it holds out of it, then predicts;
`create_prediction_pipeline` predicts with a checkpoint and trains nothing. Names without a dot live in
the namespace `perturbation`.
"""

from kedro.pipeline import Pipeline, node

from sc_mamba2.pipelines.shared import (
    REFERENCE,
    namespaced,
    prediction_pipeline,
    same,
    tokenize_pipeline,
    training_pipeline,
)
from sc_mamba2.tasks.perturbation import nodes, nodes_prediction
from sc_mamba2.tasks.perturbation.ablations import run_ablations

NAMESPACE = "perturbation"
_COMPUTE = "params:compute"


def create_pipeline() -> Pipeline:
    """Return the pipeline that learns from a file, is scored, and predicts."""
    training = Pipeline(training_pipeline(), outputs={"model": "fitted_model"})
    whole = _fit() + training + _evaluate() + _predict() + _conclude(fitted=True)
    return _namespaced(whole)


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that predicts with a trained model."""
    first = [
        node(
            nodes_prediction.read_asked,
            ["model", "params:population"],
            ["asked", "tokenizer"],
            name="read_asked",
        ),
        node(
            nodes_prediction.no_scores,
            ["model", "validation_report", "run_info"],
            "scores",
            name="no_scores",
        ),
    ]
    whole = Pipeline(first) + _predict() + _conclude(fitted=False)
    return _namespaced(whole, model="perturbation.checkpoint")


def _fit() -> Pipeline:
    """From cells to an untrained model: split, estimate, tokens of control cells, pairs."""
    own = [
        node(
            nodes.hold_out,
            ["valid_cells", "params:keys", "params:split", "params:evaluation", _COMPUTE],
            ["training_cells", "test_cells", "split", "remarks"],
            name="hold_out",
        ),
        node(
            nodes.estimate,
            ["training_cells", "split", "params:keys", "params:start", "params:population"],
            ["start", "asked"],
            name="estimate",
        ),
        node(
            nodes.fit_perturbation_tokenizer,
            ["training_cells", "start", "params:keys", "params:tokenization"],
            "tokenizer",
            name="fit_tokenizer",
            tags="tokenization",
        ),
        node(
            nodes.take_controls,
            ["training_cells", "params:keys"],
            "training_controls",
            name="take_training_controls",
        ),
        node(
            nodes.pair_cells,
            ["start", "control_tokens", "params:head", "params:split", _COMPUTE],
            ["training_tokens", "validation_tokens"],
            name="pair_cells",
        ),
        node(
            nodes.attach_head,
            same("backbone", "tokenizer", "start")
            | {
                "keys": "params:keys",
                "head": "params:head",
                "params": "params:split",
                "compute": _COMPUTE,
            },
            "task_model",
            name="attach_head",
        ),
        node(
            nodes.judge,
            ["fitted_model", "training_tokens", "validation_tokens", _COMPUTE],
            ["judged_model", "verdict"],
            name="judge",
            tags="training",
        ),
        node(
            nodes.complete_model,
            ["judged_model", "training_cells", "test_cells", "asked"],
            "model",
            name="complete_model",
        ),
    ]
    return Pipeline(own) + _tokens("training_controls", "control_tokens", "control")


def _evaluate() -> Pipeline:
    """From the model that knows no held-out cell to its scores."""
    told = Pipeline(
        prediction_pipeline(),
        namespace="test",
        inputs={"model": "judged_model", "tokens": "test_tokens"},
        outputs={"outputs": "test_outputs"},
        parameters={"params:predict", _COMPUTE},
    )
    own = [
        node(
            nodes.pair_test,
            ["test_cells", "control_tokens", "params:keys", "params:population", _COMPUTE],
            ["test_rows", "test_tokens"],
            name="pair_test",
        ),
        node(
            nodes.tell_effects,
            ["judged_model", "test_rows", "test_tokens", "test_outputs", "training_controls"],
            "predicted",
            name="tell_effects",
        ),
        node(
            nodes.run_baselines,
            ["start", "test_rows", "params:evaluation"],
            "baselines",
            name="run_baselines",
            tags="evaluation",
        ),
        node(
            run_ablations,
            {
                "backbone": "backbone",
                "model": "judged_model",
                "controls": "training_controls",
                "start_params": "params:start",
                "fine_tuning": "params:fine_tune",
                "prediction": "params:predict",
                "params": "params:ablations",
                "compute": _COMPUTE,
            }
            | same("training_tokens", "validation_tokens", "test_tokens", "test_rows"),
            "ablations",
            name="run_ablations",
            tags="evaluation",
        ),
        node(
            nodes.score,
            same("predicted", "baselines", "ablations", "test_cells", "start", "verdict")
            | same("remarks", "validation_report", "run_info")
            | {
                "keys": "params:keys",
                "split": "params:split",
                "params": "params:evaluation",
                "compute": _COMPUTE,
            },
            ["scores", "truth", "held_out_effects"],
            name="score",
            tags="evaluation",
        ),
    ]
    return Pipeline(own) + told


def _predict() -> Pipeline:
    """From the control cells of the file and a model to the predicted cells."""
    own = [
        node(
            nodes_prediction.all_controls, ["valid_cells", "model"], "controls", name="all_controls"
        ),
        node(nodes_prediction.ask, ["asked_tokens", "asked"], "tokens", name="ask"),
        node(
            nodes_prediction.populate,
            ["model", "asked", "controls", "outputs", "params:population", _COMPUTE],
            "population",
            name="populate",
        ),
    ]
    return Pipeline(own) + _tokens("controls", "asked_tokens", "asked") + prediction_pipeline()


def _conclude(fitted: bool) -> Pipeline:
    """From predicted cells to what a person reads; a run that trained shows more."""
    beside = same("predicted", "truth", "scores", "history") if fitted else {}
    return Pipeline(
        [
            node(
                nodes_prediction.add_population,
                ["scores", "population", "model"],
                "metrics",
                name="add_population",
                tags="evaluation",
            ),
            node(
                nodes_prediction.write_predicted,
                same("raw_cells", "controls", "population", "model")
                | same("validation_report", "run_info")
                | {"ingestion": "params:ingestion"},
                ["predicted_cells", "genes"],
                name="write_predicted",
            ),
            node(
                nodes_prediction.draw_figures,
                same("population") | beside,
                "figures",
                name="draw_figures",
                tags="reporting",
            ),
            node(
                nodes_prediction.write_report,
                ["metrics", "figures", "parameters"],
                "report",
                name="write_report",
                tags="reporting",
            ),
        ]
    )


def _tokens(cells: str, tokens: str, namespace: str) -> Pipeline:
    return Pipeline(
        tokenize_pipeline(),
        namespace=namespace,
        inputs={"valid_cells": cells, "tokenizer": "tokenizer"},
        outputs={"tokens": tokens},
    )


def _namespaced(pipeline: Pipeline, **inputs: str) -> Pipeline:
    return namespaced(pipeline, NAMESPACE, REFERENCE | inputs)
