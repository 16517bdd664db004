"""The row of `scm denoise` in the task table: pipelines, inputs, options, and what is written."""

from sc_mamba2.cells import keys
from sc_mamba2.tasks.shared.row import (
    RUN,
    SEED,
    SPECIES,
    Option,
    Task,
    cells_option,
    output_option,
    read_option,
)

TASK = Task(
    pipeline="denoising",
    verb="denoise",
    question="what a cell expresses without the chance of counting",
    pipelines={"denoising": "create_pipeline"},
    reads={"denoising": {"input": ()}},
    result="denoised",
    suffix=".h5ad",
    options=(
        cells_option("CELLS", "Cells with counts."),
        output_option(),
        Option("genes", "Only these genes: comma-separated names, or a file with one per line."),
        Option(
            "impute",
            "Impute genes that the file lacks: comma-separated names, or a file.",
        ),
        read_option(),
        SPECIES,
        SEED,
        *RUN,
    ),
    writes=(
        f"layers/{keys.DENOISED}",
        f"obsm/{keys.DENOISED}",
        f"obsm/{keys.IMPUTED}",
        f"var/{keys.DENOISED}",
        f"uns/{keys.FACTS}",
    ),
)
