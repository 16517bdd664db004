"""The row of `scm multiome` in the task table: pipelines, inputs, options, and what is written."""

from sc_mamba2.cells import keys
from sc_mamba2.tasks.shared.row import (
    RUN,
    SCORED_LABELS,
    SEED,
    TRAINED,
    Option,
    Task,
    ablation_options,
    compute_options,
    length_option,
    output_option,
    read_option,
)

TASK = Task(
    pipeline="multiomics",
    verb="multiome",
    question="what RNA and protein, or RNA and ATAC, say together",
    pipelines={"multiomics": "create_pipeline", "multiomics_predict": "create_prediction_pipeline"},
    reads={
        "multiomics": {
            "multiomics.source.inputs": (
                "multiomics.keys.batch_key",
                "multiomics.keys.label_key",
                "multiomics.keys.held_out_key",
            )
        },
        "multiomics_predict": {
            "multiomics.source.inputs": ("multiomics.keys.label_key",),
            "checkpoint": (),
        },
    },
    result="joint",
    suffix=".h5mu",
    options=(
        Option(
            "files",
            "One .h5mu file, or one file per modality (protein=FILE if unclear).",
            "multiomics.source.inputs",
            list,
            metavar="FILE",
            required=True,
            own_default=False,
        ),
        output_option("The .h5mu file to write."),
        Option(
            "batch_key",
            "Column of obs with batches to correct for.",
            "multiomics.keys.batch_key",
            short="b",
            tool="batch_key",
            training=True,
        ),
        Option("label_key", SCORED_LABELS, short="k"),
        Option("held_out", "Cells held out of the training, as COLUMN=VALUE.", training=True),
        TRAINED,
        Option("start", "Checkpoint to start from; none: a new model.", training=True),
        *ablation_options(
            "multiomics",
            "start_alone",
            "pooled_alone",
            "trunk_alone",
            "trunk_frozen",
            "trunk_states",
            "with_trunk",
            "no_adversary",
        ),
        read_option(),
        length_option(),
        *compute_options("multiomics.predict.batch_size"),
        SEED,
        *RUN,
    ),
    writes=(
        f"obs/{keys.HELD_OUT}",
        f"obsm/{keys.JOINT}",
        f"obsm/{keys.EMBEDDING}_rna",
        f"obsm/{keys.IMPUTED}_protein",
        f"var/{keys.IMPUTED_ERROR}",
        f"uns/{keys.FACTS}",
    ),
)
