"""The multi-omics pipelines, as tables of nodes.

`create_pipeline` learns from files and embeds their cells; `create_prediction_pipeline` embeds cells with a
checkpoint and trains nothing. Names without a dot live in the namespace `multiomics`.
"""

from kedro.pipeline import Pipeline, node

from sc_mamba2.pipelines.shared import namespaced, prediction_pipeline, same, training_pipeline
from sc_mamba2.tasks.multiomics import evaluation_nodes as evaluation, nodes
from sc_mamba2.tasks.multiomics.ablations import run_ablations

NAMESPACE = "multiomics"


def create_pipeline() -> Pipeline:
    """Return the pipeline that learns from the modalities of some cells, and embeds the cells."""
    own = [
        _node(nodes.read_sources, "params:source", "raw"),
        _node(
            nodes.standardise,
            "raw params:features params:ingestion params:validation",
            "joint_cells reading_report",
        ),
        _node(nodes.lay_out_parts, "joint_cells params:keys params:compute", "design truth"),
        _node(
            nodes.fit_tokenizer,
            "joint_cells design params:tokenization params:backbone params:features",
            "tokenizer weights trunk_tokenizer twins",
            tags="tokenization",
        ),
        _node(
            nodes.tokenize,
            "joint_cells design tokenizer weights params:features",
            "tokens",
            tags="tokenization",
        ),
        _node(
            nodes.split_tokens,
            "tokens trunk_tokenizer",
            "training_tokens validation_tokens trunk_tokens",
        ),
        _node(
            nodes.attach_head,
            "backbone tokenizer weights twins training_tokens params:head params:objective "
            "params:features params:keys params:compute",
            "task_model",
        ),
        _node(
            nodes.fit_imputers,
            "fitted_model training_tokens validation_tokens params:imputation params:predict "
            "params:compute",
            "model",
        ),
    ]
    return _namespaced(Pipeline(own) + _train() + _beside() + _conclude(fitted=True))


def create_prediction_pipeline() -> Pipeline:
    """Return the pipeline that embeds cells with a trained model."""
    own = [
        _node(nodes.read_known_sources, "params:source", "raw"),
        _node(
            nodes.standardise_known,
            "raw model params:ingestion params:validation",
            "joint_cells reading_report",
        ),
        _node(nodes.lay_out_known, "joint_cells model params:keys", "design truth"),
        _node(nodes.read_tokenizer, "model", "tokenizer weights"),
        _node(nodes.tokenize_known, "joint_cells design tokenizer weights model", "tokens"),
        _node(evaluation.take_values, "tokens tokenizer", "baselines ridge values"),
    ]
    whole = Pipeline(own) + _conclude(fitted=False)
    return _namespaced(whole, model="multiomics.checkpoint")


def _train() -> Pipeline:
    """The shared nodes: the backbone is that of the genes that it knows, and grows with the head."""
    shared = training_pipeline()
    load = shared.only_nodes("load_or_build_backbone")
    load = Pipeline(
        load, inputs={"tokenizer": "trunk_tokenizer", "training_tokens": "trunk_tokens"}
    )
    fit = Pipeline(shared.only_nodes("fine_tune"), outputs={"model": "fitted_model"})
    return load + fit


def _beside() -> Pipeline:
    """What the model is compared with: simple methods, its own parts, shuffled cells."""
    return Pipeline(
        [
            _node(
                evaluation.run_baselines,
                "joint_cells tokens tokenizer params:baselines params:compute",
                "baselines ridge values",
                tags="evaluation",
            ),
            _node(
                evaluation.shuffle,
                "model tokens params:predict params:compute",
                "shuffled",
                tags="evaluation",
            ),
            node(
                run_ablations,
                same("backbone", "model", "twins", "training_tokens", "validation_tokens", "tokens")
                | {
                    "fine_tuning": "params:fine_tune",
                    "imputation": "params:imputation",
                    "prediction": "params:predict",
                    "params": "params:ablations",
                    "compute": "params:compute",
                },
                "ablations",
                name="run_ablations",
                tags="evaluation",
            ),
        ]
    )


def _conclude(fitted: bool) -> Pipeline:
    """From a model and tokens to what a person reads; a run that trained shows more."""
    known = same("outputs", "tokens", "truth", "baselines", "ridge", "values", "model")
    beside = same("ablations", "shuffled") if fitted else {}
    curve = same("history") if fitted else {}
    compute = {"compute": "params:compute"}
    told = {"report": "reading_report", "run_info": "run_info"}
    return prediction_pipeline() + Pipeline(
        [
            node(
                evaluation.score,
                known | told | compute | beside | {"params": "params:evaluation"},
                "metrics",
                name="score",
                tags="evaluation",
            ),
            node(
                evaluation.write_joint,
                same("raw", "tokens", "outputs", "model")
                | told
                | {"source": "params:source", "params": "params:output"},
                "joint",
                name="write_joint",
            ),
            node(
                evaluation.draw_figures,
                known | compute | curve,
                "figures",
                name="draw_figures",
                tags="reporting",
            ),
            node(
                evaluation.write_report,
                ["metrics", "figures", "parameters"],
                "report",
                name="write_report",
                tags="reporting",
            ),
        ]
    )


def _node(function, inputs: str, outputs: str, tags: str | None = None):
    """Return a node that is named after its function, its names written with spaces between."""
    made = outputs.split()
    return node(
        function,
        inputs.split(),
        made[0] if len(made) == 1 else made,
        name=function.__name__,
        tags=tags,
    )


def _namespaced(pipeline: Pipeline, **inputs: str) -> Pipeline:
    return namespaced(pipeline, NAMESPACE, inputs)
