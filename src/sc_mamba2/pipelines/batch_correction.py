"""The batch correction pipelines, as tables of nodes.

Names without a dot are in the namespace `batch_correction`.
"""

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from sc_mamba2.pipelines.shared import REFERENCE, namespaced, same, step
from sc_mamba2.tasks.batch_correction.baselines import compare, run_ablations
from sc_mamba2.tasks.batch_correction.candidates import combine
from sc_mamba2.tasks.batch_correction.evaluate import score
from sc_mamba2.tasks.batch_correction.fit import prepare
from sc_mamba2.tasks.batch_correction.predict import prepare_known, write_integrated
from sc_mamba2.tasks.batch_correction.report import report
from sc_mamba2.tasks.shared.backbone import fine_tune, predict
from sc_mamba2.tasks.shared.coverage import add_coverage

NAMESPACE = "batch_correction"
PARTS = "training_tokens validation_tokens"


def create_pipeline() -> Pipeline:
    """Return the pipeline that fits a correction to the cells of a file, and corrects them."""
    training = [
        step(
            prepare,
            "valid_cells params:keys params:tokenization params:backbone params:head "
            "params:objective params:ablations params:compute",
            f"untrained_model tokens {PARTS} truth",
            "tokenization",
        ),
        step(
            fine_tune,
            f"untrained_model {PARTS} params:fine_tune params:compute",
            "trained_model history",
            "backbone training",
        ),
        step(
            combine,
            "valid_cells tokens trained_model params:candidates params:predict params:compute",
            "model candidates",
            "training",
        ),
        step(
            run_ablations,
            f"untrained_model {PARTS} tokens params:ablations params:fine_tune params:predict "
            "params:compute",
            "ablation_embeddings",
            "evaluation",
        ),
    ]
    more = {"ablations": "ablation_embeddings"}, {"history": "history"}
    return namespaced(Pipeline(training + _correct(*more)), NAMESPACE, REFERENCE)


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that corrects cells of known batches with a trained model."""
    first = [
        step(
            compare,
            "valid_cells tokens params:tokenization params:candidates params:compute",
            "candidates",
            "evaluation",
        ),
        step(
            add_coverage, "model valid_cells report_of_file params:validation", "validation_report"
        ),
        step(prepare_known, "valid_cells model params:keys", "tokens truth", "tokenization"),
    ]
    known = {"valid_cells": REFERENCE["valid_cells"], "raw_cells": REFERENCE["raw_cells"]}
    known |= {"report_of_file": REFERENCE["validation_report"]}
    inputs = known | {"model": "batch_correction.checkpoint"}
    return namespaced(Pipeline([*first, *_correct({}, {})]), NAMESPACE, inputs)


def _correct(scored: dict[str, str], shown: dict[str, str]) -> list[Node]:
    """Return the nodes from tokens and a model to the results; a fitting run scores and shows more."""
    compute = {"compute": "params:compute"}
    facts = same("model", "validation_report", "run_info")
    compared = same("outputs", "candidates", "truth")
    return [
        step(
            predict, "model tokens params:predict params:compute", "outputs", "backbone inference"
        ),
        step(score, compared | facts | compute | scored, "metrics", "evaluation"),
        step(
            write_integrated,
            "raw_cells outputs model validation_report run_info params:output params:ingestion "
            "candidates",
            "integrated",
        ),
        step(
            report,
            compared | same("metrics", "parameters") | compute | shown,
            "figures report",
            "reporting",
        ),
    ]
