"""`scm index`: labelled cells become an index, from which `scm embed` gives types to others."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sc_mamba2.commands.errors import told_once
from sc_mamba2.commands.options import (
    BatchSize,
    Device,
    EncoderCheckpoint,
    Force,
    Layer,
    MaxLength,
    Params,
    RequireKernels,
    ScanPath,
    Seed,
    Verbose,
    forced_path,
)


def index(
    reference: Annotated[str, typer.Argument(metavar="REF", help="Labelled cells, of any size.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    label_key: Annotated[
        str, typer.Option("--label-key", "-k", help="Column of obs with the cell types.")
    ],
    checkpoint: EncoderCheckpoint = None,
    layer: Layer = None,
    max_length: MaxLength = None,
    batch_size: BatchSize = None,
    device: Device = None,
    scan_path: ScanPath = None,
    require_kernels: RequireKernels = False,
    seed: Seed = None,
    params: Params = None,
    force: Force = False,
    verbose: Verbose = False,
) -> None:
    """Make an index of a labelled reference.

    scm index REF.h5ad --label-key KEY --output INDEX

    scm embed QUERY.h5ad --index INDEX --output OUT.h5ad
    """
    with told_once():
        from sc_mamba2.commands.results import show_results
        from sc_mamba2.datasets.index import FACTS
        from sc_mamba2.runs.logs import set_logging
        from sc_mamba2.runs.selection import Selection, given_params
        from sc_mamba2.runs.verbs import resumable_folder, run_for

        set_logging(verbose)
        with resumable_folder(output) as blocks:
            chosen: dict[str, Any] = {
                "input": reference,
                "embedding.keys.label_key": label_key,
                "embedding.source.blocks": str(blocks),
                "embedding.options.checkpoint": checkpoint,
                "embedding.options.max_length": max_length,
                "embedding.options.batch_size": batch_size,
                "ingestion.layer": layer,
                "compute.device": device,
                "compute.scan_path": forced_path(scan_path, require_kernels),
                "compute.seed": seed,
            }
            selection = Selection(
                pipelines=("embedding_index",), params=given_params(chosen, params)
            )
            kept = run_for(selection, output, "embedding.index", FACTS, force)
        show_results(Path(), {"index": kept})
