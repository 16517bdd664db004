"""The row of `scm perturb` in the task table: pipelines, inputs, options, and what is written."""

from pathlib import Path

from sc_mamba2.cells import keys
from sc_mamba2.tasks.shared.row import (
    RUN,
    SEED,
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
    pipeline="perturbation",
    verb="perturb",
    question="what a perturbation does to cells",
    pipelines={
        "perturbation": "create_pipeline",
        "perturbation_predict": "create_prediction_pipeline",
    },
    reads={
        "perturbation": {
            "input": (
                "perturbation.keys.perturbation_key",
                "perturbation.keys.dose_key",
                "perturbation.keys.context_key",
                "perturbation.keys.time_key",
            )
        },
        "perturbation_predict": {"input": (), "checkpoint": ()},
    },
    result="predicted_cells",
    suffix=".h5ad",
    shows={"genes": "genes.csv"},
    options=(
        cells_option("CELLS", "Perturbed and control cells; or, with a checkpoint, controls only."),
        output_option(),
        Option(
            "perturbation",
            "What to predict: GENE, or A+B.",
            "perturbation.population.perturbation",
            short="p",
        ),
        Option(
            "perturbation_key",
            "Column of obs with the perturbations.",
            "perturbation.keys.perturbation_key",
            short="k",
            tool="perturbation_key",
            training=True,
        ),
        Option(
            "control",
            "Label of the unperturbed cells in that column.",
            "perturbation.keys.control",
            tool="control",
            training=True,
        ),
        Option(
            "context_key",
            "Column of obs with cell types, lines or batches.",
            "perturbation.keys.context_key",
            tool="context_key",
            training=True,
        ),
        Option(
            "kind",
            "knockout, crispri, crispra or chemical.",
            "perturbation.keys.kind",
            tool="kind",
            training=True,
        ),
        Option(
            "perturbation_features",
            "CSV file with one row of numbers per perturbation.",
            "perturbation.keys.feature_file",
            Path,
            tool="features",
            training=True,
        ),
        Option(
            "hold_out",
            "Held out for scores: unseen_perturbation, unseen_combination, unseen_context, random_cells.",
            "perturbation.split.kind",
            training=True,
        ),
        TRAINED,
        start_option("perturbation", "Checkpoint from which the training starts."),
        *ablation_options(
            "perturbation",
            "start_alone",
            "trunk_alone",
            "trunk_frozen",
            "no_perturbation_embedding",
            "no_own_gene",
        ),
        read_option(),
        length_option(),
        *compute_options("perturbation.predict.batch_size"),
        SEED,
        *RUN,
    ),
    writes=(f"layers/{keys.PREDICTED}", f"var/{keys.PREDICTED}", f"uns/{keys.FACTS}"),
    stage="--input simulated:perturbations",
)
