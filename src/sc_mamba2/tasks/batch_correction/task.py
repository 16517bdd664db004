"""The row of `scm integrate` in the task table: pipelines, inputs, options, and what is written."""

from sc_mamba2.cells import keys
from sc_mamba2.tasks.shared.row import (
    RUN,
    SCORED_LABELS,
    SEED,
    SPECIES,
    TRAINED,
    Option,
    Task,
    ablation_options,
    cells_option,
    compute_options,
    length_option,
    output_option,
    read_option,
    start_option,
)

TASK = Task(
    pipeline="batch_correction",
    verb="integrate",
    question="what is left without donors or batches",
    pipelines={
        "batch_correction": "create_pipeline",
        "batch_correction_predict": "create_prediction_pipeline",
    },
    reads={
        "batch_correction": {
            "input": ("batch_correction.keys.batch_key", "batch_correction.keys.label_key")
        },
        "batch_correction_predict": {
            "input": ("batch_correction.keys.label_key",),
            "checkpoint": (),
        },
    },
    result="integrated",
    suffix=".h5ad",
    options=(
        cells_option("CELLS", "Cells from two or more batches."),
        output_option(),
        Option(
            "batch_key",
            "Column of obs with the batches.",
            "batch_correction.keys.batch_key",
            short="b",
            tool="batch_key",
            training=True,
            own_default=False,
        ),
        Option("label_key", SCORED_LABELS, short="k"),
        TRAINED,
        Option(
            "fit",
            "harmony; or gradient: also train a model, and combine both.",
            "batch_correction.head.fit",
            tool="fit",
            training=True,
        ),
        start_option("batch_correction", "Checkpoint from which that training starts."),
        Option(
            "keep_candidates",
            "Also write the embedding of every candidate, under its name.",
            "batch_correction.output.candidates",
            bool,
            tool="keep_candidates",
            training=True,
        ),
        Option(
            "expression",
            "Also write the corrected expression, as a layer.",
            "batch_correction.output.expression",
            bool,
            tool="expression",
        ),
        *ablation_options("batch_correction", "no_adversary", "no_domain_norm", "pooled_alone"),
        read_option(),
        SPECIES,
        length_option(),
        *compute_options("batch_correction.predict.batch_size"),
        SEED,
        *RUN,
    ),
    writes=(f"obsm/{keys.CORRECTED}", f"layers/{keys.CORRECTED_LAYER}", f"uns/{keys.FACTS}"),
)
