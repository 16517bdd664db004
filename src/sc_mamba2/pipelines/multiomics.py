"""The multi-omics pipelines, as tables of nodes.

Names without a dot are in the namespace `multiomics`.
"""

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from sc_mamba2.pipelines.shared import namespaced, same, step
from sc_mamba2.tasks.multiomics.baselines import compare
from sc_mamba2.tasks.multiomics.cells import read_sources
from sc_mamba2.tasks.multiomics.evaluate import score
from sc_mamba2.tasks.multiomics.fit import fit_imputers, prepare
from sc_mamba2.tasks.multiomics.predict import prepare_known, read_known_sources, write_joint
from sc_mamba2.tasks.multiomics.report import report
from sc_mamba2.tasks.shared.backbone import fine_tune, predict


def create_pipeline() -> Pipeline:
    """Return the pipeline that trains on the modalities of cells, and embeds the cells."""
    nodes = [
        step(
            read_sources,
            "params:source params:features params:ingestion params:validation",
            "mdata joint_cells reading_report",
        ),
        step(
            prepare,
            "joint_cells params:keys params:tokenization params:backbone params:features params:head "
            "params:objective params:compute",
            "untrained_model tokens training_tokens validation_tokens truth",
            tags="tokenization",
        ),
        step(
            fine_tune,
            "untrained_model training_tokens validation_tokens params:fine_tune params:compute",
            "fitted_model history",
            tags="backbone training",
        ),
        step(
            fit_imputers,
            "fitted_model training_tokens validation_tokens params:imputation params:predict "
            "params:compute",
            "model",
            tags="training",
        ),
        step(
            compare,
            "joint_cells tokens training_tokens validation_tokens untrained_model model "
            "params:baselines params:ablations params:fine_tune params:imputation params:predict "
            "params:compute",
            "comparison",
            tags="evaluation",
        ),
    ]
    return namespaced(Pipeline([*nodes, *_conclude(trained=True)]), "multiomics", {})


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that embeds cells with a trained model."""
    nodes = [
        step(
            read_known_sources,
            "params:source model params:ingestion params:validation",
            "mdata joint_cells reading_report",
        ),
        step(prepare_known, "joint_cells model params:keys", "tokens truth", tags="tokenization"),
    ]
    whole = Pipeline([*nodes, *_conclude(trained=False)])
    return namespaced(whole, "multiomics", {"model": "multiomics.checkpoint"})


def _conclude(trained: bool) -> list[Node]:
    """Return the nodes from a model and tokens to the results; a training run shows more."""
    cells = same("outputs", "tokens", "truth", "model") | {"compute": "params:compute"}
    facts = {"report": "reading_report", "run_info": "run_info"}
    comparison = same("comparison") if trained else {}
    history = same("history") if trained else {}
    return [
        step(
            predict,
            "model tokens params:predict params:compute",
            "outputs",
            tags="backbone inference",
        ),
        step(
            score,
            cells | facts | comparison | {"params": "params:evaluation"},
            "metrics",
            tags="evaluation",
        ),
        step(
            write_joint,
            same("mdata", "tokens", "outputs", "model") | facts | {"params": "params:output"},
            "joint",
        ),
        step(
            report,
            cells | comparison | history | same("metrics", "parameters"),
            "figures report",
            tags="reporting",
        ),
    ]
