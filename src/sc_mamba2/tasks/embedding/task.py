"""The row of `scm embed` and `scm index` in the task table: pipelines, inputs, options, and what is written."""

from dataclasses import replace
from pathlib import Path

from sc_mamba2.cells import keys
from sc_mamba2.tasks.shared.row import (
    RUN,
    SEED,
    SPECIES,
    Option,
    Task,
    cells_option,
    compute_options,
    launch_options,
    length_option,
    output_option,
    read_option,
)

_EMBEDDING_KEYS = ("embedding.keys.label_key", "embedding.keys.batch_key")

TASK = Task(
    pipeline="embedding",
    verb="embed",
    question="which cells are alike, in a file of any size",
    pipelines={
        "embedding": "create_pipeline",
        "embedding_mapping": "create_mapping_pipeline",
        "embedding_index": "create_index_pipeline",
        "embedding_genes": "create_gene_pipeline",
    },
    reads={
        "embedding": {"input": _EMBEDDING_KEYS},
        "embedding_mapping": {"input": _EMBEDDING_KEYS, "index": ()},
        "embedding_index": {"input": _EMBEDDING_KEYS},
        "embedding_genes": {},
    },
    result="embedded",
    suffix=".h5ad",
    options=(
        cells_option("FILE", "Cells to embed; files of any size.", required=False),
        replace(output_option("The .h5ad file, or .zarr folder, to write."), required=False),
        Option(
            "checkpoint",
            "Name of a shipped checkpoint, or a folder.",
            "embedding.options.checkpoint",
            short="c",
            tool="checkpoint",
        ),
        Option(
            "index", "Index of a labelled reference, to call the types of the cells.", "index", Path
        ),
        Option(
            "label_key",
            "Column of obs with cell types, for scores.",
            "embedding.keys.label_key",
            short="k",
        ),
        Option("batch_key", "Column of obs with batches, for scores.", "embedding.keys.batch_key"),
        Option("genes", "Also write the gene vectors, to this .parquet file.", kind=Path),
        read_option(),
        SPECIES,
        length_option("embedding.options.max_length", training=False),
        *compute_options("embedding.options.batch_size"),
        *launch_options("embedding"),
        SEED,
        *RUN,
    ),
    writes=(
        f"obs/{keys.CELL_TYPE}",
        f"obs/{keys.CONFIDENCE}",
        f"obs/{keys.DISTANCE}",
        f"obs/{keys.UNASSIGNED}",
        f"obsm/{keys.EMBEDDING}",
        f"uns/{keys.FACTS}",
    ),
)

# Prepares an input of the task: a verb without a tool, stage or page of its own.
INDEX = replace(
    TASK,
    verb="index",
    result="index",
    options=(
        Option(
            "reference", "Labelled cells.", "input", metavar="REF", required=True, own_default=False
        ),
        output_option("The folder to write."),
        Option(
            "label_key",
            "Column of obs with the cell types.",
            "embedding.keys.label_key",
            short="k",
            required=True,
        ),
        Option(
            "batch_key",
            "Column of obs with studies, donors or batches: left out in turn for the limit.",
            "embedding.keys.batch_key",
            short="b",
        ),
        *(o for o in TASK.options if o.name == "checkpoint" or o.panel),
    ),
)
