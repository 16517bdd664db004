"""The row of `scm reverse` in the task table: pipelines, inputs, options, and what is written."""

from pathlib import Path

from sc_mamba2.tasks.shared.row import (
    RUN,
    SEED,
    Option,
    Task,
    cells_option,
    output_option,
    read_option,
)

TASK = Task(
    pipeline="reverse_perturbation",
    verb="reverse",
    question="which perturbation leads to a state",
    pipelines={"reverse_perturbation": "create_pipeline"},
    reads={
        "reverse_perturbation": {
            "input": ("reverse_perturbation.states.state_key",),
            "checkpoint": (),
        }
    },
    result="ranking",
    suffix=".csv",
    options=(
        cells_option("CELLS", "Cells of both states."),
        output_option("The .csv file to write."),
        Option(
            "checkpoint", "Folder that `scm perturb` trained.", kind=Path, short="c", required=True
        ),
        Option(
            "target",
            "State to reach.",
            "reverse_perturbation.states.target",
            required=True,
        ),
        Option(
            "source",
            "State to start from.",
            "reverse_perturbation.states.source",
            tool="source",
        ),
        Option(
            "state_key",
            "Column of obs with the states.",
            "reverse_perturbation.states.state_key",
            short="k",
            tool="state_key",
        ),
        Option("candidates", "What to rank: all, or a file with one name per line."),
        Option(
            "pairs",
            "Also rank every pair of candidates.",
            "reverse_perturbation.candidates.pairs",
            bool,
            tool="pairs",
        ),
        read_option(),
        SEED,
        *RUN,
    ),
    stage="--input simulated:perturbations --params checkpoint=data/06_models/perturbation,"
    "reverse_perturbation.states.target=SDF4",
)
