"""The row of `scm network` in the task table: pipelines, inputs, options, and what is written."""

from pathlib import Path

from sc_mamba2.tasks.shared.row import (
    RUN,
    SEED,
    SPECIES,
    Option,
    Task,
    cells_option,
    compute_options,
    output_option,
    read_option,
)

TASK = Task(
    pipeline="gene_network",
    verb="network",
    question="which genes regulate which",
    pipelines={"gene_network": "create_pipeline"},
    reads={"gene_network": {"input": ()}},
    result="edges",
    suffix=".csv",
    options=(
        cells_option("FILE", "Cells to infer the network from."),
        output_option("The .csv file of edges."),
        Option("genes", "Regulators: comma-separated names, or a file with one per line."),
        Option(
            "reference_network",
            "File of known edges to compare with.",
            "gene_network.reference.reference_network",
            Path,
            tool="reference_network",
        ),
        Option(
            "checkpoint",
            "Name of a shipped checkpoint, or a folder.",
            "gene_network.scoring.checkpoint",
            short="c",
            tool="checkpoint",
        ),
        Option(
            "boosting",
            "Also score boosted trees (slow).",
            "gene_network.baselines.boosting",
            bool,
        ),
        Option(
            "ablations",
            "Also score an untrained model.",
            "gene_network.baselines.untrained",
            bool,
        ),
        read_option(),
        SPECIES,
        *compute_options("gene_network.scoring.batch_size"),
        SEED,
        *RUN,
    ),
)
