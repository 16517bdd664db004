"""The row of `scm annotate` in the task table: pipelines, inputs, options, and what is written."""

from dataclasses import replace

from sc_mamba2.cells import keys
from sc_mamba2.tasks.shared.row import (
    RUN,
    SEED,
    SPECIES,
    TRAINED,
    Option,
    Task,
    ablation_options,
    compute_options,
    launch_options,
    length_option,
    output_option,
    read_option,
    start_option,
)

_ANNOTATOR = replace(
    TRAINED,
    help="Trained folder, or a shipped annotator: blood, pancreas.",
    also="model",
)

TASK = Task(
    pipeline="annotation",
    verb="annotate",
    question="which type each cell is",
    pipelines={
        "annotation": "create_pipeline",
        "annotation_query": "create_query_pipeline",
        "annotation_predict": "create_prediction_pipeline",
    },
    reads={
        "annotation": {"input": ("annotation.labels.key",)},
        "annotation_query": {
            "input": ("annotation.labels.key",),
            "query": ("annotation.labels.query_key",),
        },
        "annotation_predict": {"query": ("annotation.labels.query_key",), "checkpoint": ()},
    },
    result="annotated",
    suffix=".h5ad",
    options=(
        Option(
            "query",
            "Cells to annotate; without it, a held-out part of the reference.",
            "query",
            metavar="QUERY",
        ),
        output_option(),
        Option(
            "reference",
            "Labelled reference cells.",
            "input",
            short="r",
            training=True,
            own_default=False,
        ),
        Option("label_key", "Column of obs with the cell types.", short="k"),
        Option(
            "batch_key",
            "Column of the reference's obs with batches, left out in turn to weight the experts.",
            "annotation.labels.batch_key",
            tool="batch_key",
            training=True,
        ),
        _ANNOTATOR,
        start_option(
            "annotation", "Pretrained checkpoint: more experts, or where a network starts."
        ),
        Option(
            "fit",
            "consensus; gradient: and a network; or one alone: network, linear, prototypes.",
            "annotation.head.fit",
            tool="fit",
            training=True,
        ),
        *ablation_options(
            "annotation", "readout_alone", "pooled_alone", "trunk_alone", "trunk_frozen"
        ),
        read_option(),
        SPECIES,
        length_option(),
        *compute_options("annotation.predict.batch_size"),
        *launch_options("annotation"),
        SEED,
        *RUN,
    ),
    writes=(
        f"obs/{keys.CELL_TYPE}",
        f"obs/{keys.CONFIDENCE}",
        f"obs/{keys.TYPE_SET}",
        f"obs/{keys.TYPE_PARENT}",
        f"obs/{keys.AGREEMENT}",
        f"obs/{keys.DISTANCE}",
        f"obs/{keys.UNASSIGNED}",
        f"obsm/{keys.PROBABILITY}",
        f"obsm/{keys.EXPERTS}",
        f"obsm/{keys.EMBEDDING}",
        f"uns/{keys.FACTS}",
    ),
)
