"""The perturbation pipelines, as tables of nodes.

Names without a dot are in the namespace `perturbation`.
"""

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from sc_mamba2.pipelines.shared import REFERENCE, namespaced, same, step
from sc_mamba2.tasks.perturbation.baselines import compare
from sc_mamba2.tasks.perturbation.evaluate import describe_prediction, score
from sc_mamba2.tasks.perturbation.fit import complete_model, gate_layers, hold_out, prepare
from sc_mamba2.tasks.perturbation.predict import prepare_prediction, write_predicted
from sc_mamba2.tasks.perturbation.report import report
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.coverage import add_coverage

NAMESPACE = "perturbation"


def create_pipeline() -> Pipeline:
    """Return the pipeline that trains on a file, is scored on held-out cells, and predicts."""
    scored = [
        step(
            compare,
            "scored_model untrained_model effect_prior split training_cells training_tokens "
            "validation_tokens test_tokens test_outputs params:fine_tune params:predict "
            "params:evaluation params:ablations params:compute",
            "predicted",
            "evaluation",
        ),
        step(
            score,
            "predicted test_cells effect_prior gate remarks trust model validation_report run_info "
            "params:keys params:split params:evaluation params:compute",
            "metrics truth held_out_effects",
            "evaluation",
        ),
        step(
            report,
            same("metrics", "genes", "parameters", "predicted", "truth", "history"),
            "figures report",
            "reporting",
        ),
    ]
    held_out = Pipeline(
        [_apply("model")],
        namespace="test",
        inputs={"model": "scored_model", "tokens": "test_tokens"},
        outputs={"outputs": "test_outputs"},
        parameters={"params:predict", "params:compute"},
    )
    whole = Pipeline([*_fit(), *_predict("model"), *scored]) + held_out
    return namespaced(whole, NAMESPACE, REFERENCE)


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that predicts with a trained model."""
    first = [
        step(
            add_coverage,
            "checkpoint valid_cells report_of_file params:validation",
            "validation_report",
        ),
        step(
            prepare_prediction,
            "checkpoint valid_cells params:population",
            "requested controls tokens",
        ),
    ]
    last = [
        step(
            describe_prediction,
            "trust checkpoint validation_report run_info",
            "metrics",
            "evaluation",
        ),
        step(report, "metrics genes parameters", "figures report", "reporting"),
    ]
    whole = Pipeline([*first, *_predict("checkpoint"), *last])
    known = {name: place for name, place in REFERENCE.items() if name != "validation_report"}
    known["report_of_file"] = REFERENCE["validation_report"]
    return namespaced(whole, NAMESPACE, known)


def _fit() -> list[Node]:
    """Return the nodes that fit a model without the held-out cells, then complete it with them."""
    return [
        step(
            hold_out,
            "valid_cells params:keys params:split params:evaluation params:compute",
            "training_cells test_cells split remarks",
        ),
        step(
            prepare,
            "training_cells split params:keys params:split params:start params:head "
            "params:population params:tokenization params:backbone params:compute",
            "untrained_model effect_prior requested training_tokens validation_tokens test_tokens",
            "training",
        ),
        step(
            fine_tune,
            "untrained_model training_tokens validation_tokens params:fine_tune params:compute",
            "fitted_model history",
            "backbone training",
        ),
        step(
            gate_layers,
            "fitted_model training_tokens validation_tokens params:compute",
            "scored_model gate",
            "training",
        ),
        step(
            complete_model,
            "scored_model training_cells test_cells valid_cells requested",
            "model controls tokens",
        ),
    ]


def _apply(model: str) -> Node:
    """Return the node that predicts from tokens and a model."""
    inputs = f"{model} tokens params:predict params:compute"
    return step(predict, inputs, "outputs", "backbone inference")


def _predict(model: str) -> list[Node]:
    """Return the nodes from the control cells and a model to the predicted cells."""
    return [
        _apply(model),
        step(
            write_predicted,
            f"raw_cells controls outputs {model} requested validation_report run_info "
            "params:population params:ingestion params:compute",
            "predicted_cells genes trust",
        ),
    ]
